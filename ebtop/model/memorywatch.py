# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the memory history of processes that map more than they unmap, and of the selected process.
It adds the suspected leaks and the history of the selected process to each snapshot.

leaks.py judges the history. The work is proportional to what ran: nothing is kept of a process that
did not run or that returned its memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Optional

from ebtop.model.layout import EXITED, KNOWN_BIT, NOT_COUNTED, Table
from ebtop.model.leaks import Leak, Point, Watch, fell, judge
from ebtop.model.rows import column_view
from ebtop.model.snapshot import Snapshot
from ebtop.probes import MEM

Identity = tuple[int, int]
"""(pid, start_ns)"""
RoomOf = Callable[[int, Snapshot], tuple[Optional[str], Optional[int]]]
"""Of a cgroup's number: what will be full first, and how many bytes are left."""

MOST = 1024
"""At most this many processes are followed."""
SHORT_S, SHORT_POINTS = 1.0, 64
LONG_S, LONG_POINTS = 8.0, 150
"""Two histories per process: of the last minute or two, and of the last twenty minutes."""
IDLE_S = 120.0
"""A process that has not grown for this long is forgotten."""
FORGET_S = 900.0
"""All processes are forgotten when nothing has been counted for this long."""
_ALLOCATED = 1 << KNOWN_BIT["allocated_bytes"]
_RSS = 1 << KNOWN_BIT["rss_bytes"]
_NEEDED = _ALLOCATED | _RSS


class _Track:
    """Points of one process: of the last minute or two closely, of the last twenty loosely."""

    def __init__(self) -> None:
        self.short: deque[Point] = deque(maxlen=SHORT_POINTS)
        self.long: deque[Point] = deque(maxlen=LONG_POINTS)

    def add(self, point: Point) -> None:
        for points, spacing in ((self.short, SHORT_S), (self.long, LONG_S)):
            # a little early is on time, or every other of the samples would be left out
            if not points or point.time_s - points[-1].time_s >= 0.9 * spacing:
                points.append(point)

    @property
    def points(self) -> tuple[Point, ...]:
        """The long history, and the present after it."""
        if not self.short:
            return ()
        return (*(p for p in self.long if p.time_s < self.short[0].time_s), *self.short)


class _History:
    """The history of one process. Time in which the probe does not run is left out, together with
    the growth during that time: it neither proves nor disproves a leak.
    """

    def __init__(self, since_s: float) -> None:
        self.track = _Track()
        self.unreturned = 0
        self.counted: Optional[int] = None
        """The last cumulative value of mapped minus unmapped bytes."""
        self.resident = 0
        self.shared = 0
        self._first: Optional[tuple[float, int, int, int]] = None
        self.cgroup = 0
        self._now_s = self._grew_s = since_s
        self._last_resident: Optional[int] = None
        self._skipped_s, self._skipped_bytes = 0.0, 0
        self._highest = self._given_back_from = 0

    def skip(self, now_s: float) -> None:
        """The interval that ends now is left out."""
        self._skipped_s += now_s - self._now_s
        if self._last_resident is not None:
            self._skipped_bytes += self.resident - self._last_resident
        self._now_s, self._last_resident = now_s, self.resident

    def add(self, now_s: float) -> None:
        """The interval that ends now counts."""
        self._now_s, self._last_resident = now_s, self.resident
        time_s, resident = now_s - self._skipped_s, self.resident - self._skipped_bytes
        if resident > self._highest:
            self._highest, self._grew_s = resident, time_s
        elif fell(self._highest, resident):
            self._given_back_from = max(self._given_back_from, self._highest)
            self._highest = resident
        self.track.add(Point(time_s, resident, self.unreturned))
        if self._first is None:
            self._first = (time_s, resident, self.shared, self.unreturned)
        self._last = (time_s, resident, self.shared, self.unreturned)

    @property
    def watch(self) -> Optional[Watch]:
        """From the first interval on that counted; None before that."""
        if self._first is None:
            return None
        return Watch(
            self._last[0] - self._first[0], self._last[1] - self._first[1],
            self._last[2] - self._first[2], self._last[3] - self._first[3],
        )  # fmt: skip

    @property
    def idle_s(self) -> float:
        """How long it has not grown."""
        return self._now_s - self._skipped_s - self._grew_s

    def leak(self) -> Optional[Leak]:
        found = judge(self.track.short, self._given_back_from)
        return found or judge(self.track.long, self._given_back_from)


def _no_room(cgroup: int, snapshot: Snapshot) -> tuple[Optional[str], Optional[int]]:
    return None, None


class MemoryWatch:
    """Told every interval, in order."""

    def __init__(self, room_of: RoomOf = _no_room) -> None:
        self._room_of = room_of
        self._followed: dict[Identity, _History] = {}
        self._looked_at: Optional[Identity] = None
        self._seen: Optional[_Track] = None
        """The history of the selected process, whether it grows or not."""
        self._since_ns: Optional[int] = None
        self._counted_s = 0.0

    def look_at(self, identity: Optional[Identity]) -> None:
        """Its history is kept from now on."""
        if identity != self._looked_at:
            self._looked_at, self._seen = identity, None if identity is None else _Track()

    def watch(self, snapshot: Snapshot) -> Snapshot:
        """The same snapshot with the suspected leaks, and the history of the selected process."""
        now_s = snapshot.taken_ns / 1e9
        restarted = self._since_ns != snapshot.since_ns
        self._since_ns = snapshot.since_ns
        if snapshot.source != "bpf" or snapshot.interval_s <= 0:
            return snapshot
        counts = any(probe.name == MEM.name and probe.state == "on" for probe in snapshot.probes)
        self._counted_s = now_s if counts else self._counted_s
        if now_s - self._counted_s > FORGET_S:
            self._followed.clear()
        if counts or self._followed:
            self._take(snapshot, now_s, restarted, counts)
        leaks: dict[Identity, Leak] = {}
        for key, one in list(self._followed.items()):
            one.add(now_s) if counts else one.skip(now_s)
            leak = one.leak() if counts else None
            if leak is not None:
                leaks[key] = self._with_room(leak, one.cgroup, snapshot)
            elif one.idle_s > IDLE_S:
                del self._followed[key]
        history = self._look(snapshot, now_s)
        watched = {key: one.watch for key, one in self._followed.items() if one.watch}
        return replace(
            snapshot, leaks=leaks if counts else None, memory_history=history,
            memory_watched=watched,
        )  # fmt: skip

    def _look(self, snapshot: Snapshot, now_s: float) -> tuple[Point, ...]:
        if self._seen is None or self._looked_at is None:
            return ()
        pids = column_view(snapshot.processes, "pid")
        starts = column_view(snapshot.processes, "start_ns")
        for index, pid in enumerate(pids):
            if pid == self._looked_at[0] and starts[index] == self._looked_at[1]:
                row = snapshot.processes.row(index)
                if row["known"] & _RSS and row["rss_anon_bytes"] != NOT_COUNTED:
                    self._seen.add(Point(now_s, row["rss_anon_bytes"], 0))
        return self._seen.points

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
            if row["rss_shmem_bytes"] != NOT_COUNTED:
                one.shared = row["rss_shmem_bytes"]

    def _changed(self, table: Table, active: int, counts: bool) -> Iterator[int]:
        """The rows of processes that are followed or begin to grow."""
        known, pids, starts, flags, allocated, freed = (
            column_view(table, name)[:active]
            for name in ("known", "pid", "start_ns", "flags", "allocated_bytes", "freed_bytes")
        )
        followed = {key[0] for key in self._followed}
        for index, pid in enumerate(pids):
            if pid in followed and (pid, starts[index]) in self._followed:
                yield index
            elif (
                counts and allocated[index] > freed[index]
                and known[index] & _NEEDED == _NEEDED and not flags[index] & EXITED
                and len(self._followed) < MOST
            ):  # fmt: skip
                yield index

    def _with_room(self, leak: Leak, cgroup: int, snapshot: Snapshot) -> Leak:
        limit, room = self._room_of(cgroup, snapshot)
        full_s = None if room is None else max(0, room) / leak.bytes_per_s
        return replace(leak, limit=limit, room_bytes=room, full_s=full_s)
