# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Calls as lines: values by their types, texts that stay in their line, stacks told once."""

from __future__ import annotations

import json
import struct
from typing import Optional

import synthetic

from ebtop.commands.calllines import CallLines
from ebtop.commands.kprobe import Target
from ebtop.model.layout import CALL
from ebtop.model.prototype import Hook, Param
from ebtop.outputs.eventlines import json_event, text_event
from ebtop.sources.kallsyms import Symbols

SYMBOLS = Symbols(b"1000 T caller\n2000 t work\n3000 t bpf_prog_x\t[bpf]\n")
DFD = Param("dfd", 4, signed=True)
NAME = Param("name", text=True, pointer=True)
HOW = Param("how", pointer=True)
INT = Param(bytes=4, signed=True)


def call(
    args: list[int],
    texts: tuple[Optional[bytes], ...] = (),
    stack: tuple[int, ...] = (),
    cut: int = 0,
    **values: object,
) -> tuple[dict[str, object], bytes]:
    fields = {f"args_{i}": value for i, value in enumerate(args)}
    sizes = [-1 if word is None else len(word) for word in texts] + [-1] * (6 - len(texts))
    fields.update({f"text_bytes_{i}": size for i, size in enumerate(sizes)})
    fields.update(cut=cut, with_stack=bool(stack), frames=len(stack))
    packed = CALL.pack(fields) + struct.pack(f"={len(stack)}Q", *stack)
    packed += b"".join(word for word in texts if word)
    given = {"text": 3, "text_bytes": len(packed), **values}
    row = synthetic.events([synthetic.event("kprobe", 7, b"x", **given)]).row(0)
    return row, b"abc" + packed + b"xyz"


def lines_of(
    params: tuple[Param, ...], result: Optional[Param] = None, **values: bool
) -> CallLines:
    return CallLines(Target(Hook("work", params, result, **values), SYMBOLS))


def as_json(lines: CallLines, event: tuple[dict[str, object], bytes]) -> dict[str, object]:
    return json.loads(json_event(*event, 0, lines.json))


def as_text(lines: CallLines, event: tuple[dict[str, object], bytes], ascii: bool = False) -> str:
    return text_event(*event, 0, ascii, lines.text).partition("called: ")[2]


def test_values_have_the_size_and_sign_of_their_types() -> None:
    lines = lines_of((DFD, Param("mode", 2), Param("flag", 1, signed=True), HOW))
    event = call([0x7FFFFF9C | 1 << 31, 0xABCD1234, 0x1FF, 2**64 - 1])
    found = as_json(lines, event)
    assert found["args"] == [-100, 0x1234, -1, 2**64 - 1]
    assert found["arg_names"] == ["dfd", "mode", "flag", "how"]
    assert as_text(lines, event) == "work(dfd=-100, mode=4660, flag=-1, how=0xffffffffffffffff)\n"


def test_the_promised_keys_and_only_those_that_were_asked_for() -> None:
    found = as_json(lines_of((DFD,)), call([3]))
    own = list(found)[list(found).index("thread_comm") + 1 :]
    assert own == ["function", "args", "arg_names", "arg_strings"]
    found = as_json(lines_of((), INT, returns=True), call([], result=-2, duration_ns=5))
    assert (found["type"], found["function"], found["args"]) == ("kprobe", "work", [])
    assert (found["result"], found["duration_ns"]) == (-2, 5)


def test_texts_stand_where_their_argument_does() -> None:
    lines = lines_of((DFD, NAME, HOW))
    found = as_json(lines, call([1, 2, 3], (None, b"a\xff\n", None)))
    assert found["arg_strings"] == [None, "a\\xff\n", None]
    text = as_text(lines, call([1, 2, 3], (None, b"a\xff\n\x1b[2J", None), cut=2))
    assert text == 'work(dfd=1, name="a\\xff\\x0a\\x1b[2J"..., how=0x3)\n'
    assert as_json(lines, call([1, 2, 3], (None, b"ab"), cut=2))["arg_strings_cut"][1] is True


def test_a_text_that_could_not_be_read_is_its_address() -> None:
    lines = lines_of((NAME,))
    assert as_text(lines, call([0x10])) == "work(name=0x10)\n"
    assert as_json(lines, call([0x10]))["arg_strings"] == [None]
    assert as_json(lines, call([0x10], (b"",)))["arg_strings"] == [""]


def test_results_are_named_when_they_are_errors() -> None:
    def said(result: Optional[Param], register: int) -> str:
        lines = lines_of((), result, returns=True)
        return as_text(lines, call([], result=register, duration_ns=5000)).strip()

    assert said(INT, 3) == "work() = 3 after 5us"
    assert said(INT, 2**32 - 2) == "work() = -2 ENOENT after 5us"
    assert said(HOW, -12) == "work() = -12 ENOMEM after 5us"
    assert said(HOW, -(1 << 40)) == f"work() = {2**64 - (1 << 40):#x} after 5us"
    assert said(None, 77) == "work() = void after 5us"
    lines = lines_of((), None, returns=True)
    assert as_json(lines, call([], result=77))["result"] is None


def test_a_stack_is_told_once_without_the_tracer() -> None:
    lines = lines_of((), stack=True)
    first, other = (0x3010, 0x2005, 0x1008), (0x3010, 0x2005)
    assert as_text(lines, call([], stack=first)) == (
        "work()  stack #1:\n    work+0x5\n    caller+0x8\n"
    )
    assert as_text(lines, call([], stack=first)) == "work()  stack #1\n"
    assert as_text(lines, call([], stack=other)).startswith("work()  stack #2:")
    assert as_json(lines, call([], stack=first))["stack"] == ["work+0x5", "caller+0x8"]
    assert as_json(lines, call([]))["stack"] is None
    assert as_text(lines, call([])) == "work()  stack -\n"
