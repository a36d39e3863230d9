# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the kernel's symbols of /proc/kallsyms: looks up functions by name, and symbols by address.
It does not know what can be done with a function.
"""

from __future__ import annotations

import difflib
import heapq
from bisect import bisect_right
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Optional

from ebtop.text import data_text, raw_bytes

PATH = "/proc/kallsyms"
_CODE = b"tTwW"
_PADDING = b"__pfx_"
"""Before a function, and no code."""
_NEAREST = 5
_LOOKED_AT = 200
_FARTHEST = 1 << 20
"""An address farther behind a symbol than this does not belong to it."""


class Symbol(NamedTuple):
    """A line of the file; `address` is 0 where the kernel hides it."""

    address: int
    is_code: bool
    module: Optional[bytes]


class Symbols:
    """Made from the bytes of the file; nothing is looked at again."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def named(self, name: str) -> list[Symbol]:
        """All of this name: several functions may share one."""
        wanted = b" " + raw_bytes(name)
        found = []
        at = self._raw.find(wanted)
        while at >= 0:
            end = at + len(wanted)
            if self._raw[end : end + 1] in (b"\n", b"\t", b""):
                begin = self._raw.rfind(b"\n", 0, at) + 1
                found.append(_symbol(self._raw[begin : _line_end(self._raw, end)]))
            at = self._raw.find(wanted, end)
        return found

    def made_of(self, name: str) -> list[str]:
        """The compiler's clones and parts of a function, recognised by their suffix."""
        start = raw_bytes(name) + b"."
        return sorted(data_text(other) for other in self._functions if other.startswith(start))

    def nearest(self, name: str) -> list[str]:
        """Similar names of functions, the most similar first."""
        wanted = raw_bytes(name)
        parts = {wanted[at : at + 3] for at in range(len(wanted) - 2)} or {wanted}
        # few are looked at closely: the comparison is slow

        def likeness(other: bytes) -> tuple[int, int]:
            return sum(part in other for part in parts), -abs(len(other) - len(wanted))

        some = heapq.nlargest(_LOOKED_AT, set(self._functions), key=likeness)
        likely = [data_text(other) for other in some]
        return difflib.get_close_matches(name, likely, _NEAREST, 0.6)

    def place(self, address: int) -> tuple[bytes, int]:
        """The symbol that an address lies in, and how far behind its beginning; (b"", address)
        when it lies in none."""
        at = bisect_right(self._addresses, address) - 1
        if at < 0 or address - self._addresses[at] >= _FARTHEST:
            return b"", address
        return self._names[at], address - self._addresses[at]

    @cached_property
    def _functions(self) -> list[bytes]:
        lines = (line.split() for line in self._raw.splitlines())
        code = (words[2] for words in lines if len(words) > 2 and words[1] in _CODE)
        return [name for name in code if not name.startswith(_PADDING)]

    @cached_property
    def _sorted(self) -> list[tuple[int, bytes]]:
        lines = (line.split() for line in self._raw.splitlines())
        code = ((int(words[0], 16), words[2]) for words in lines if words[1] in _CODE)
        return sorted(pair for pair in code if pair[0])

    @cached_property
    def _addresses(self) -> list[int]:
        return [address for address, _ in self._sorted]

    @cached_property
    def _names(self) -> list[bytes]:
        return [name for _, name in self._sorted]


def read(path: str = PATH) -> Symbols:
    """Without the right to see addresses, they are all 0."""
    try:
        return Symbols(Path(path).read_bytes())
    except OSError:
        return Symbols(b"")


def frames(symbols: Symbols, function: str, addresses: Iterable[int]) -> list[bytes]:
    """A stack as `name+0x1f`, beginning at the hooked function: the frames before are the
    tracer's."""
    places = [symbols.place(address) for address in addresses]
    wanted = raw_bytes(function)
    first = next((at for at, place in enumerate(places) if place[0] == wanted), None)
    if first is None:
        first = next((at for at, place in enumerate(places) if not _is_tracer(place[0])), 0)
    return [name + b"+%#x" % offset if name else b"%#x" % offset for name, offset in places[first:]]


def _is_tracer(name: bytes) -> bool:
    return not name or name.startswith((b"bpf_", b"ftrace_", b"kprobe_"))


def _symbol(line: bytes) -> Symbol:
    words = line.split()
    module = words[3].strip(b"[]") if len(words) > 3 else None
    return Symbol(int(words[0], 16), words[1] in _CODE, module)


def _line_end(raw: bytes, at: int) -> int:
    end = raw.find(b"\n", at)
    return len(raw) if end < 0 else end
