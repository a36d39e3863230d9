# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what an event of `ebtop kprobe` says of a call: arguments by name and type, texts, result,
stack. The rest of its line is outputs/eventlines.py's. Texts are hostile, and so are names of
modules.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple, Optional

from ebtop import units
from ebtop.commands.kprobe import Target
from ebtop.model.errornames import error_name
from ebtop.model.layout import CALL
from ebtop.model.prototype import MOST_ARGS, Param
from ebtop.outputs.eventlines import Row
from ebtop.sources import kallsyms
from ebtop.text import data_text, displayable

_MOST_STACKS = 4096
_MOST_ERROR = 4095
_CUT = "..."


class Call(NamedTuple):
    """One call, unpacked: `texts` has None where an argument is no text or could not be read."""

    args: list[int]
    texts: list[Optional[bytes]]
    cut: list[bool]
    stack: Optional[tuple[int, ...]]


class CallLines:
    """Knows the hooked function, and caches the stacks it has resolved."""

    def __init__(self, target: Target) -> None:
        self._hook = target.hook
        self._symbols = target.symbols
        self._stacks: dict[tuple[int, ...], tuple[int, list[bytes]]] = {}

    def json(self, row: Row, text: bytes) -> dict[str, Any]:
        """The keys of this event beside those of all."""
        call = unpack(row, text)
        hook = self._hook
        event: dict[str, Any] = {
            "function": data_text(hook.function),
            "args": [param.value(value) for param, value in zip(hook.params, call.args)],
            "arg_names": [data_text(param.name) or None for param in hook.params],
            "arg_strings": [
                None if word is None else data_text(word)
                for word, _ in zip(call.texts, hook.params)
            ],
        }
        if any(call.cut):
            event["arg_strings_cut"] = call.cut[: len(hook.params)]
        if hook.returns:
            event["result"] = hook.result.value(row["result"]) if hook.result else None
            event["duration_ns"] = row["duration_ns"]
        if hook.stack:
            frames = self._frames(call.stack)[1]
            event["stack"] = None if call.stack is None else [data_text(name) for name in frames]
        return event

    def text(self, row: Row, text: bytes, ascii: bool) -> str:
        """`called: do_sys_openat2(dfd=-100, filename="/etc/hostname") = 3 after 5us`."""
        call = unpack(row, text)
        hook = self._hook
        words = ", ".join(
            _argument(param, call, index, ascii) for index, param in enumerate(hook.params)
        )
        line = f"called: {displayable(hook.function, ascii)}({words})"
        if hook.returns:
            line += f" = {_result(hook.result, row['result'])} after"
            line += f" {units.duration(row['duration_ns'])}"
        return line + (f"  {self._stack(call.stack, ascii)}" if hook.stack else "")

    def _stack(self, addresses: Optional[tuple[int, ...]], ascii: bool) -> str:
        """Whole when it is met for the first time, then by its number."""
        if addresses is None:
            return f"stack {units.UNKNOWN}"
        new = addresses not in self._stacks
        number, frames = self._frames(addresses)
        if not new:
            return f"stack #{number}"
        lines = "".join(f"\n    {displayable(name, ascii)}" for name in frames)
        return f"stack #{number}:{lines}"

    def _frames(self, addresses: Optional[tuple[int, ...]]) -> tuple[int, list[bytes]]:
        if addresses is None:
            return 0, []
        found = self._stacks.get(addresses)
        if found is None:
            if len(self._stacks) >= _MOST_STACKS:
                self._stacks.clear()
            frames = kallsyms.frames(self._symbols, self._hook.function, addresses)
            found = self._stacks[addresses] = (len(self._stacks) + 1, frames)
        return found


def unpack(row: Row, text: bytes) -> Call:
    """What the texts hold of a call: its numbers, then the stack, then the texts."""
    packed = text[row["text"] : row["text"] + row["text_bytes"]]
    if len(packed) < CALL.stride:
        return Call([], [], [], None)
    call = CALL.unpack(packed, 0)
    at = CALL.stride
    stack = None
    if call["with_stack"] and call["frames"] > 0:
        stack = struct.unpack_from(f"={call['frames']}Q", packed, at)
        at += 8 * call["frames"]
    texts: list[Optional[bytes]] = []
    for index in range(MOST_ARGS):
        size = call[f"text_bytes_{index}"]
        texts.append(packed[at : at + size] if size >= 0 else None)
        at += max(size, 0)
    cut = [bool(call["cut"] >> index & 1) for index in range(MOST_ARGS)]
    return Call([call[f"args_{index}"] for index in range(MOST_ARGS)], texts, cut, stack)


def _argument(param: Param, call: Call, index: int, ascii: bool) -> str:
    word, value = call.texts[index], param.value(call.args[index])
    if word is not None:
        shown = f'"{displayable(word, ascii)}"{_CUT if call.cut[index] else ""}'
    else:
        shown = f"{value:#x}" if param.pointer or not param.name else str(value)
    return f"{displayable(param.name, ascii)}={shown}" if param.name else shown


def _result(param: Optional[Param], register: int) -> str:
    if param is None:
        return "void"
    value = param.value(register)
    as_error = register if -_MOST_ERROR <= register < 0 and param.pointer else value
    if -_MOST_ERROR <= as_error < 0:
        return f"{as_error} {error_name(as_error)}"
    return f"{value:#x}" if param.pointer else str(value)
