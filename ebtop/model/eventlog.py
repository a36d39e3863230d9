# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the history of events that the dashboard keeps: a bounded log, and counts by type.

It is the one mutable thing between snapshots; views get its lines and totals as values. It
counts nothing itself: the counts are the kernel's, taken from each snapshot.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from ebtop.model.layout import EVENT_TYPES
from ebtop.model.slowlines import is_idle
from ebtop.model.snapshot import Snapshot

KEPT_LINES = 1000
LOGGED = ("exec", "exit", "open", "signal", "oom", "tcp", "mem", "slow")
_LOGGED_ALONE = ("mem", "slow")
"""Of these only what is logged is counted."""
_EVENTS_LOST = ("ring_buffer", "event_rows", "forks")


class EventLine(NamedTuple):
    """One event. `time` is seconds since the epoch; names and texts are raw bytes."""

    time: float
    type: str
    pid: int
    ppid: int
    uid: int
    comm: bytes
    text: bytes
    """Arguments, the name of the file, the name of a signal's target or of a victim; of a
    connection struct ebtop_connection."""
    exit_code: int
    """As wait(2) gives it."""
    duration_ns: int
    result: int = 0
    """Of an open: the descriptor or -errno; a signal's number; of a victim its resident bytes."""
    marks: int = 0
    """TEXT_CUT, TEXT_UNREAD, SIGNAL_IGNORED."""
    target: int = 0
    """The process that a signal was for, or the victim."""
    call: int = 0
    """Of memory, and how much it mapped or unmapped: EBTOP_KIND_*."""
    allocated_bytes: int = 0
    freed_bytes: int = 0


@dataclass(frozen=True)
class EventTotals:
    """By event type: how many since the log was reset, and a second in the last interval."""

    counts: dict[str, int | None] = field(default_factory=dict)
    rates: dict[str, float | None] = field(default_factory=dict)
    losing: int = 0
    """Intervals in a row, the last one included, in which events were lost."""


class EventLog:
    """Absorbs snapshots; `lines` are oldest first. Of each type as many are kept."""

    def __init__(self, kept: int = KEPT_LINES) -> None:
        self._kept = kept
        self.reset()
        self._losing = 0

    def reset(self) -> None:
        """Forgets the lines and counts from 0."""
        self._by_type = {name: deque[EventLine](maxlen=self._kept) for name in LOGGED}
        self.lines: tuple[EventLine, ...] = ()
        self._counts: dict[str, int | None] = dict.fromkeys(EVENT_TYPES)
        self._rates: dict[str, float | None] = dict.fromkeys(EVENT_TYPES)

    @property
    def totals(self) -> EventTotals:
        return EventTotals(dict(self._counts), dict(self._rates), self._losing)

    def absorb(self, snapshot: Snapshot) -> None:
        """Adds what happened in the interval of this snapshot."""
        system = snapshot.system
        numbers = {
            "fork": system.started, "exec": system.execs, "exit": system.exited,
            "open": system.opens, "signal": system.signals, "oom": system.oom_kills,
        }  # fmt: skip
        for name, count in numbers.items():
            if count is None:
                self._rates[name] = None
                continue
            self._counts[name] = (self._counts[name] or 0) + count
            self._rates[name] = count / snapshot.interval_s if snapshot.interval_s > 0 else None
        lost = snapshot.self_cost.lost
        self._losing = self._losing + 1 if any(lost.get(name) for name in _EVENTS_LOST) else 0
        if len(snapshot.events):
            self._append(snapshot)

    def _append(self, snapshot: Snapshot) -> None:
        """The newest of each type: so a flood of one drives out no other."""
        types = snapshot.events.column("type")
        for name, lines in self._by_type.items():
            number = EVENT_TYPES.index(name)
            rows = [index for index, kind in enumerate(types) if kind == number]
            if name == "slow":
                rows = [index for index in rows if not is_idle(_text(snapshot, index))]
            if rows and name in _LOGGED_ALONE:
                self._counts[name] = (self._counts[name] or 0) + len(rows)
            lines.extend(_line(snapshot, name, index) for index in rows[-self._kept :])
        self.lines = tuple(heapq.merge(*self._by_type.values(), key=attrgetter("time")))


def _text(snapshot: Snapshot, index: int) -> bytes:
    row = snapshot.events.row(index)
    return snapshot.text[row["text"] : row["text"] + row["text_bytes"]]


def _line(snapshot: Snapshot, name: str, index: int) -> EventLine:
    row = snapshot.events.row(index)
    when = snapshot.time - (snapshot.taken_ns - row["time_ns"]) / 1e9
    return EventLine(
        when, name, row["pid"], row["ppid"], row["uid"], row["comm"],
        _text(snapshot, index), row["exit_code"],
        row["duration_ns"], row["result"], row["marks"], row["target"], row["open_flags"],
        row["allocated_bytes"], row["freed_bytes"],
    )  # fmt: skip
