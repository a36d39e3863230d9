# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns a process tree over its life: the last row of every process, exited ones included, and their
sum. Rows come from cumulative snapshots, so the last row of a process covers its whole life.

It does no I/O and knows no output format.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

from ebtop.model.layout import (
    ARGS_CUT,
    CONNECTION,
    COUNTERS,
    DIVIDED,
    EXITED,
    FACTS,
    FOLLOWED,
    MEMORY_PARTS,
    NOT_COUNTED,
    RAN,
    ROW,
    Table,
    known_mask,
)
from ebtop.model.process_table import Row
from ebtop.model.snapshot import Snapshot

Key = tuple[int, int]
_COUNTERS_KNOWN = known_mask(*COUNTERS)
_RSS = 1 << FACTS["rss_bytes"]
_PEAK = 1 << FACTS["peak_rss_bytes"]
_TIMES = known_mask("user_ns", "kernel_ns")


class Member(NamedTuple):
    """A process of the tree: its last row, and the number of its snapshot."""

    data: bytes
    ended: bool
    seen: int
    """The number of the snapshot."""


class ProcessTree:
    """The process `pid` and all that descend from it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.members: dict[Key, Member] = {}
        self.args: dict[Key, bytes] = {}
        self.users: dict[int, str] = {}
        self.connections: dict[tuple[int, int], bytes] = {}
        self.peak_rss_bytes: Optional[int] = None
        """The highest sum of resident memory that any snapshot had."""
        self.floor_rss_bytes = 0
        """The memory that the first process may have used as our fork, before it executed the
        command: the kernel's peak covers both, and is the larger of the two."""
        self.sampled_times = False
        """Some of the user and kernel time comes from ticks."""
        self._turn = 0
        self._living: set[int] = set()

    def absorb(self, snapshot: Snapshot) -> None:
        self._turn += 1
        self.users.update(snapshot.users)
        table = snapshot.processes
        found = set(self._followed(table))
        found |= self._children(table, found)
        rss = 0
        for index in sorted(found):
            rss += self._take(table, index, snapshot.text)
        if snapshot.source == "proc":
            self._mark_vanished()
        self._living = {key[0] for key, one in self.members.items() if not one.ended}
        self.peak_rss_bytes = max(self.peak_rss_bytes or 0, rss)
        if snapshot.connections is not None:
            self._take_connections(snapshot.connections)

    def _followed(self, table: Table) -> Iterator[int]:
        flags, pids = table.column("flags"), table.column("pid")
        for index, pid in enumerate(pids):
            known = pid in self._living and self._key(table, index) in self.members
            if known or (pid and flags[index] & FOLLOWED) or pid == self.pid:
                yield index

    def _children(self, table: Table, found: set[int]) -> set[int]:
        """Descendants found by parent pid: the only way without BPF, and for those not marked by
        the kernel."""
        pids, parents = table.column("pid"), table.column("ppid")
        kin = self._living | {pids[index] for index in found}
        more: set[int] = set()
        grown = True
        while grown:
            grown = False
            for index, parent in enumerate(parents):
                if parent in kin and pids[index] not in kin and index not in found:
                    more.add(index)
                    kin.add(pids[index])
                    grown = True
        return more

    def _key(self, table: Table, index: int) -> Key:
        row = table.row(index)
        return row["pid"], row["start_ns"]

    def _take(self, table: Table, index: int, text: bytes) -> int:
        row = table.row(index)
        key = row["pid"], row["start_ns"]
        stride = table.layout.stride
        data = bytes(table.data[index * stride : (index + 1) * stride])
        if row["text_bytes"]:
            args = text[row["text"] : row["text"] + row["text_bytes"]]
            self.args[key] = args + b" ..." if row["flags"] & ARGS_CUT else args
        if row["flags"] & RAN and not row["flags"] & DIVIDED:
            self.sampled_times = True
        ended = bool(row["flags"] & EXITED)
        self.members[key] = Member(data, ended, self._turn)
        return row["rss_bytes"] if row["known"] & _RSS and not ended else 0

    def _mark_vanished(self) -> None:
        for key, one in self.members.items():
            if not one.ended and one.seen != self._turn:
                self.members[key] = one._replace(ended=True)

    def _take_connections(self, table: Table) -> None:
        owners = {key[0] for key in self.members}
        stride = table.layout.stride
        for index, pid in enumerate(table.column("pid")):
            if pid not in owners:
                continue
            row = table.row(index)
            if (pid, row["owner_start_ns"]) in self.members:
                data = bytes(table.data[index * stride : (index + 1) * stride])
                self.connections[row["socket"], row["start_ns"]] = data

    # ---- what is known at the end ----

    @property
    def living(self) -> set[int]:
        """Pids of those that have not ended, as of the last snapshot."""
        return self._living

    def has_peak(self, row: Row) -> bool:
        """Whether its peak of resident memory is certainly the command's own."""
        return bool(row["pid"] != self.pid or row["peak_rss_bytes"] > self.floor_rss_bytes)

    def connection_rows(self) -> Iterator[Row]:
        return Table(CONNECTION, b"".join(self.connections.values())).rows()

    def rows(self) -> Iterator[Row]:
        """The last rows in order of birth. Their `text` offsets are not valid any more."""
        for _, one in sorted(self.members.items(), key=lambda item: (item[0][1], item[0][0])):
            row = ROW.unpack(one.data, 0)
            row["text_bytes"] = 0
            if one.ended:
                row["flags"] |= EXITED
            yield row

    def total(self) -> Row:
        """One row of the sums. A counter that is unknown for one process is unknown for the
        tree."""
        total: dict[str, Any] = ROW.unpack(bytes(ROW.stride), 0)
        total.update(dict.fromkeys(MEMORY_PARTS, NOT_COUNTED))
        known, facts, peak = _COUNTERS_KNOWN, 0, 0
        for row in self.rows():
            has = row["known"]
            if not row["oncpu_ns"]:
                has |= _TIMES  # none, and so divided anyhow
            known &= has
            for name in COUNTERS:
                total[name] += row[name]
            if not row["flags"] & EXITED:
                facts |= has & _RSS
                total["rss_bytes"] += row["rss_bytes"]
                total["threads"] += row["threads"]
            if has & _PEAK and self.has_peak(row):
                peak = max(peak, row["peak_rss_bytes"])
            _add_latencies(total, row)
        total["known"] = (known if self.members else 0) | facts
        if self.peak_rss_bytes or peak:
            total["peak_rss_bytes"] = max(self.peak_rss_bytes or 0, peak)
            total["known"] |= _PEAK
        return total


def _add_latencies(total: dict[str, Any], row: Row) -> None:
    if not row["disk_timed"]:
        return
    low = total["disk_latency_min_ns"] if total["disk_timed"] else row["disk_latency_min_ns"]
    total["disk_latency_min_ns"] = min(low, row["disk_latency_min_ns"])
    total["disk_latency_max_ns"] = max(total["disk_latency_max_ns"], row["disk_latency_max_ns"])
    total["disk_timed"] += row["disk_timed"]
