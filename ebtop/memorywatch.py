# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns whose memory is followed over time: those that map more than they unmap, and the one that is
looked at. It adds to each snapshot who seems to leak, and the history of the one.

What makes a leak is leaks.py's. Work is in proportion to what ran: of a process that did not run,
or gave back what it took, nothing is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Optional

from ebtop.layout import EXITED, KNOWN_BIT, NOT_COUNTED, Table
from ebtop.leaks import Leak, Point, fell, judge
from ebtop.model import column_view
from ebtop.snapshot import Snapshot

Identity = tuple[int, int]
"""(pid, start_ns)"""
RoomOf = Callable[[int, Snapshot], tuple[Optional[str], Optional[int]]]
"""Of a cgroup's number: what will be full first, and how many bytes are left."""

MOST = 1024
"""So many processes are followed at most."""
SHORT_S, SHORT_POINTS = 1.0, 64
LONG_S, LONG_POINTS = 8.0, 150
"""Two histories of each: of the last minute or two, and of the last twenty."""
IDLE_S = 120.0
"""Who has not grown for so long is forgotten."""
_ALLOCATED = 1 << KNOWN_BIT["allocated_bytes"]
_RSS = 1 << KNOWN_BIT["rss_bytes"]
_NEEDED = _ALLOCATED | _RSS


class _History:
    """What is kept of one process."""

    def __init__(self, since_s: float) -> None:
        self.short: deque[Point] = deque(maxlen=SHORT_POINTS)
        self.long: deque[Point] = deque(maxlen=LONG_POINTS)
        self.unreturned = 0
        self.counted: Optional[int] = None
        """The last cumulative value of what was not returned."""
        self.resident = 0
        self.cgroup = 0
        self.grew_s = since_s
        self._highest = 0
        self._given_back_from = 0

    def add(self, now_s: float) -> None:
        """One point more; of the long history only now and then."""
        point = Point(now_s, self.resident, self.unreturned)
        if self.resident > self._highest:
            self._highest, self.grew_s = self.resident, now_s
        elif fell(self._highest, self.resident):
            self._given_back_from = max(self._given_back_from, self._highest)
            self._highest = self.resident
        for points, spacing in ((self.short, SHORT_S), (self.long, LONG_S)):
            # a little early is on time, or every other of the samples would be left out
            if not points or now_s - points[-1].time_s >= 0.9 * spacing:
                points.append(point)

    def leak(self) -> Optional[Leak]:
        found = judge(self.short, self._given_back_from)
        return found or judge(self.long, self._given_back_from)

    @property
    def points(self) -> tuple[Point, ...]:
        """The long history, and the present after it."""
        return (*(p for p in self.long if p.time_s < self.short[0].time_s), *self.short)


def _no_room(cgroup: int, snapshot: Snapshot) -> tuple[Optional[str], Optional[int]]:
    return None, None


class MemoryWatch:
    """Told every interval, in order."""

    def __init__(self, room_of: RoomOf = _no_room) -> None:
        self._room_of = room_of
        self._followed: dict[Identity, _History] = {}
        self._looked_at: Optional[Identity] = None
        self._since_ns: Optional[int] = None

    def look_at(self, identity: Optional[Identity]) -> None:
        """Its history is kept from now on, whatever it does."""
        self._looked_at = identity

    def watch(self, snapshot: Snapshot) -> Snapshot:
        """The same snapshot, with who seems to leak, and the history of the one looked at."""
        now_s = snapshot.taken_ns / 1e9
        restarted = self._since_ns != snapshot.since_ns
        self._since_ns = snapshot.since_ns
        if snapshot.source != "bpf" or snapshot.interval_s <= 0:
            return snapshot
        counts = any(probe.name == "mem" and probe.state == "on" for probe in snapshot.probes)
        if not counts:
            self._followed = {key: one for key, one in self._followed.items()
                              if key == self._looked_at}  # fmt: skip
        if counts or self._followed or self._looked_at:
            self._take(snapshot, now_s, restarted, counts)
        leaks: dict[Identity, Leak] = {}
        for key, one in list(self._followed.items()):
            one.add(now_s)
            leak = one.leak() if counts else None
            if leak is not None:
                leaks[key] = self._with_room(leak, one.cgroup, snapshot)
            elif now_s - one.grew_s > IDLE_S and key != self._looked_at:
                del self._followed[key]
        looked = self._followed.get(self._looked_at) if self._looked_at else None
        history = () if looked is None else looked.points
        return replace(snapshot, leaks=leaks if counts else None, memory_history=history)

    def _take(self, snapshot: Snapshot, now_s: float, restarted: bool, counts: bool) -> None:
        table = snapshot.processes
        for index in self._changed(table, snapshot.system.active, counts):
            row = table.row(index)
            key = (row["pid"], row["start_ns"])
            if row["flags"] & EXITED:
                self._followed.pop(key, None)
                continue
            if not row["known"] & _RSS or row["rss_anon_bytes"] == NOT_COUNTED:
                continue
            one = self._followed.get(key)
            if one is None:
                one = self._followed[key] = _History(now_s)
            net = row["allocated_bytes"] - row["freed_bytes"] if row["known"] & _ALLOCATED else 0
            if snapshot.cumulative:
                before = net if one.counted is None else 0 if restarted else one.counted
                one.counted, net = net, net - before
            else:
                one.counted = None
            one.unreturned += net
            one.resident, one.cgroup = row["rss_anon_bytes"], row["cgroup_id"]

    def _changed(self, table: Table, active: int, counts: bool) -> Iterator[int]:
        """Rows of those that are followed, or that begin to grow."""
        known, pids, starts, flags, allocated, freed = (
            column_view(table, name)[:active]
            for name in ("known", "pid", "start_ns", "flags", "allocated_bytes", "freed_bytes")
        )
        followed = {key[0] for key in self._followed}
        looked = self._looked_at[0] if self._looked_at else None
        for index, pid in enumerate(pids):
            if pid in followed and (pid, starts[index]) in self._followed:
                yield index
                continue
            if pid == looked or (
                counts and allocated[index] > freed[index]
                and known[index] & _NEEDED == _NEEDED and not flags[index] & EXITED
                and len(self._followed) < MOST
            ):  # fmt: skip
                yield index
        if looked is not None and self._looked_at not in self._followed:
            rest = column_view(table, "pid")[active:]
            yield from (active + at for at, pid in enumerate(rest) if pid == looked)

    def _with_room(self, leak: Leak, cgroup: int, snapshot: Snapshot) -> Leak:
        limit, room = self._room_of(cgroup, snapshot)
        full_s = None if room is None else max(0, room) / leak.bytes_per_s
        return replace(leak, limit=limit, room_bytes=room, full_s=full_s)
