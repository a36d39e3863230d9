# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the kernel's totals for listening sockets (/proc/net/netstat): connections refused because a
queue was full, and all that were dropped. They are those of ebtop's network namespace.
"""

from __future__ import annotations

from typing import Optional

from ebtop.model.snapshot import Listening
from ebtop.sources.host import read_small
from ebtop.sources.procparse import number

_NAMES = (b"ListenOverflows", b"ListenDrops")


def parse_netstat(data: Optional[bytes]) -> Listening:
    """Lines come in pairs, names and numbers, each behind the name of the group."""
    lines = (data or b"").split(b"\n")
    for names, numbers in zip(lines, lines[1:]):
        if not names.startswith(b"TcpExt: ") or not numbers.startswith(b"TcpExt: "):
            continue
        found = dict(zip(names.split()[1:], numbers.split()[1:]))
        try:
            return Listening(*(number(found[name]) if name in found else None for name in _NAMES))
        except ValueError:
            return Listening()
    return Listening()


class ListenCounts:
    """Their growth, from refresh to refresh or since the beginning."""

    def __init__(self, root: str = "/proc") -> None:
        self._path = f"{root}/net/netstat"
        self._first = self._last = self._read()

    def _read(self) -> Listening:
        return parse_netstat(read_small(self._path))

    def refresh(self, cumulative: bool = False, reset: bool = False) -> Listening:
        """The counts of the interval, or cumulative ones."""
        now = self._read()
        base = self._first if cumulative else self._last
        self._last = now
        if reset:
            self._first = now
        return Listening(_grown(now.overflows, base.overflows), _grown(now.drops, base.drops))


def _grown(now: Optional[int], before: Optional[int]) -> Optional[int]:
    return None if now is None or before is None else max(0, now - before)
