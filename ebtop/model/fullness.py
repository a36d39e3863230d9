# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the warnings of nearly full tables of the collector, before entries are lost.

The header shows a warning while it holds. Commands that write samples print it once, and again only
after the table has had room in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

Tables = Mapping[str, tuple[int, int]]
"""Entries used and room, by name."""

NEARLY_FULL, BETTER = 0.9, 0.8
TITLES = {
    "threads": "threads",
    "connections": "connections",
    "stacks": "stacks of waits",
    "events": "the buffer of events",
}


def nearly_full(tables: Tables) -> dict[str, float]:
    """The nearly full tables, and the share of each that is used."""
    shares = {name: used / room for name, (used, room) in tables.items() if room}
    return {name: share for name, share in shares.items() if share >= NEARLY_FULL}


def warning(name: str, share: float) -> str:
    return f"{TITLES.get(name, name)} {100 * share:.0f}% full"


class Warner:
    """Says each warning once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said: set[str] = set()

    def look(self, tables: Tables) -> None:
        full = nearly_full(tables)
        for name in full.keys() - self._said:
            used, room = tables[name]
            unit = "bytes" if name == "events" else "entries"
            self._say(f"{warning(name, full[name])} ({used} of {room} {unit}): what finds no room"
                      " will be lost, and counted")  # fmt: skip
        better = {n for n, (used, room) in tables.items() if not room or used / room < BETTER}
        self._said = (self._said | full.keys()) - better
