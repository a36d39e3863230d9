# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the history of events that the dashboard keeps: a bounded log, and counts by type.

It is the one mutable thing between snapshots; views get its lines and totals as values. It
counts nothing itself: the counts are the kernel's, taken from each snapshot.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from ebtop.layout import EVENT_TYPES
from ebtop.snapshot import Snapshot

KEPT_LINES = 1000
LOGGED = ("exec", "exit")


class EventLine(NamedTuple):
    """One exec or exit. `time` is seconds since the epoch; names and arguments are raw bytes."""

    time: float
    type: str
    pid: int
    ppid: int
    uid: int
    comm: bytes
    args: bytes
    exit_code: int
    """As wait(2) gives it."""
    duration_ns: int


@dataclass(frozen=True)
class EventTotals:
    """By event type: how many since the log was reset, and a second in the last interval."""

    counts: dict[str, int | None] = field(default_factory=dict)
    rates: dict[str, float | None] = field(default_factory=dict)


class EventLog:
    """Absorbs snapshots; `lines` are oldest first."""

    def __init__(self, kept: int = KEPT_LINES) -> None:
        self._lines: deque[EventLine] = deque(maxlen=kept)
        self._counts: dict[str, int | None] = dict.fromkeys(EVENT_TYPES)
        self._rates: dict[str, float | None] = dict.fromkeys(EVENT_TYPES)

    @property
    def lines(self) -> tuple[EventLine, ...]:
        return tuple(self._lines)

    @property
    def totals(self) -> EventTotals:
        return EventTotals(dict(self._counts), dict(self._rates))

    def reset(self) -> None:
        """Forgets the lines and counts from 0."""
        self._lines.clear()
        self._counts = dict.fromkeys(EVENT_TYPES)
        self._rates = dict.fromkeys(EVENT_TYPES)

    def absorb(self, snapshot: Snapshot) -> None:
        """Adds what happened in the interval of this snapshot."""
        system = snapshot.system
        known = (system.started, system.execs, system.exited, system.opens)
        for name, count in zip(EVENT_TYPES, known):
            if count is None:
                self._rates[name] = None
                continue
            self._counts[name] = (self._counts[name] or 0) + count
            self._rates[name] = count / snapshot.interval_s if snapshot.interval_s > 0 else None
        self._append(snapshot)

    def _append(self, snapshot: Snapshot) -> None:
        first = max(0, len(snapshot.events) - 2 * (self._lines.maxlen or 0))
        for index in range(first, len(snapshot.events)):
            row = snapshot.events.row(index)
            name = EVENT_TYPES[row["type"]] if row["type"] < len(EVENT_TYPES) else "?"
            if name not in LOGGED:
                continue
            when = snapshot.time - (snapshot.taken_ns - row["time_ns"]) / 1e9
            args = snapshot.text[row["text"] : row["text"] + row["text_bytes"]]
            self._lines.append(
                EventLine(
                    when, name, row["pid"], row["ppid"], row["uid"], row["comm"], args,
                    row["exit_code"], row["duration_ns"],
                )
            )  # fmt: skip
