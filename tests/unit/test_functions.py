# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Which function is meant, and what is said when none can be."""

from __future__ import annotations

import pytest

from ebtop.commands import kprobe
from ebtop.commands.kprobe import choose, refusal
from ebtop.errors import UsageError
from ebtop.model.prototype import Hook, Param, Prototype
from ebtop.model.snapshot import ProbeStatus
from ebtop.options.commandline import parse
from ebtop.options.options import Options
from ebtop.sources import kallsyms
from ebtop.sources.kallsyms import Symbols

SYMBOLS = Symbols(
    b"1000 T vfs_read\n1100 T vfs_write\n1200 t twice\n1300 t twice\n1400 d table\n"
    b"1500 t split.isra.0\n1600 t split.cold\n1700 t in_module\t[some_module]\n1800 t forbidden\n"
)
KNOWN = Prototype((Param("file", pointer=True), Param("n")), Param(signed=True), 4)


@pytest.fixture(autouse=True)
def kernel(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, object]]:
    asked: list[tuple[str, object]] = []

    def prototype(name: str, module: object) -> object:
        asked.append((name, module))
        return None if name in ("no_type", "nowhere", "vfs_raed") else KNOWN

    monkeypatch.setattr(kallsyms, "read", lambda: SYMBOLS)
    monkeypatch.setattr(kprobe, "prototype", prototype)
    monkeypatch.setattr(kprobe, "blacklist", lambda: frozenset({b"forbidden"}))
    return asked


def chosen(function: str, **values: object) -> Hook:
    return choose(Options(command="kprobe", function=function, **values)).hook


@pytest.mark.parametrize(
    "function, said",
    {
        "twice": "2 functions named twice",
        "table": "is data",
        "split": "made split.cold, split.isra.0 of it",
        "inlined": "is inlined",
        "forbidden": "blacklist",
        "vfs_raed": "no function vfs_raed (or the compiler inlined all of it); there are vfs_read",
        "nowhere": "no function nowhere (or",
    }.items(),
)
def test_what_cannot_be_hooked_is_told_why(function: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        chosen(function)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_arguments_are_those_that_are_known(kernel: list[tuple[str, object]]) -> None:
    assert chosen("vfs_read").params == KNOWN.params
    assert chosen("vfs_read", args=1).params == KNOWN.params[:1]
    assert chosen("vfs_read", args=6, returns=True).params == KNOWN.params
    assert chosen("in_module").slots == 4
    assert kernel[-1] == ("in_module", "some_module")


def test_a_part_of_a_function_is_hooked_without_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kprobe, "prototype", lambda name, module: None)
    assert chosen("split.isra.0").params == ()
    assert len(chosen("split.isra.0", args=4).params) == 4


def test_a_place_lies_in_the_symbol_before_it() -> None:
    assert SYMBOLS.place(0x1108) == (b"vfs_write", 8)
    assert SYMBOLS.place(0xFFF) == (b"", 0xFFF)
    assert SYMBOLS.place(0x1800 + (1 << 20)) == (b"", 0x1800 + (1 << 20))


def test_a_kernel_without_any_hook_says_so() -> None:
    status = ProbeStatus("kfunc", "unsupported", "", "no such file", None, None)
    error = refusal(choose(Options(function="vfs_read")), status)
    assert error.status == 77 and "no kprobes" in str(error)


@pytest.mark.parametrize(
    "words, said",
    [
        ("", "FUNCTION"), ("a b", "b"), ("x;y", "name of a function"), ("f --args 7", "0 to 6"),
        ("f --args -1", "--args"), ("f --min-latency 1ms", "--ret"),
    ],
)  # fmt: skip
def test_words_that_mean_nothing(words: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse(["kprobe", *words.split()])


def test_words_that_mean_something() -> None:
    options = parse(["kprobe", "vfs_read", "--args", "2", "--ret", "--stack", "-n", "5", "--json"])
    assert (options.command, options.function, options.args) == ("kprobe", "vfs_read", 2)
    assert options.returns and options.stack and options.json and options.iterations == 5
