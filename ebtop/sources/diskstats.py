# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the kernel's own statistics of disks (/proc/diskstats), and their rows.

The /proc source has nothing else on disks. For the BPF source it supplies the queue depth and the
busy time, which need no event. Whole disks that are not stacked on others (md, LVM) are recognised
by /sys, once per disk.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

from ebtop.model.layout import DISK, DISK_FACTS, Table
from ebtop.sources.host import read_small
from ebtop.sources.procparse import number

_SECTOR = 512
_MS = 1_000_000
_MOST_BYTES = 1 << 22
_REQUESTS, _LATENCY, _QUEUE, _BUSY = (1 << DISK_FACTS.index(name) for name in (
    "requests", "latency", "queue", "busy"))  # fmt: skip


class DiskStat(NamedTuple):
    """One line. All but `in_flight` only grow; discards older kernels do not have."""

    reads: int
    read_bytes: int
    writes: int
    write_bytes: int
    in_flight: int
    busy_ns: int
    queue_ns: int
    """How long its requests took, summed, each added when it is done."""
    discards: int = 0
    discard_bytes: int = 0


def parse_diskstats(data: Optional[bytes]) -> dict[bytes, DiskStat]:
    """By name, partitions included. A malformed line is skipped."""
    return dict(_parsed(data or b""))


def _parsed(data: bytes) -> Iterator[tuple[bytes, DiskStat]]:
    for line in data.split(b"\n"):
        words = line.split()
        if len(words) < 14:
            continue
        try:
            counts = [number(word) for word in words[3:]]
        except ValueError:
            continue
        discards = (counts[11], counts[13] * _SECTOR) if len(counts) > 13 else (0, 0)
        yield words[2], DiskStat(
            counts[0], counts[2] * _SECTOR, counts[4], counts[6] * _SECTOR, counts[8],
            counts[9] * _MS, counts[10] * _MS, *discards,
        )  # fmt: skip


def _grown(now: DiskStat, before: DiskStat) -> DiskStat:
    grown = DiskStat(*(max(0, a - b) for a, b in zip(now, before)))
    return grown._replace(in_flight=now.in_flight)


class _Queue:
    """Requests in flight of one disk, summed over time.

    The kernel adds the time of a request when it completes. Until then requests in flight are
    counted here as time passes, and the estimate is subtracted when the kernel's value arrives.
    """

    def __init__(self, stat: DiskStat) -> None:
        self._last = stat
        self._owed_ns = 0
        self.total_ns = 0

    def add(self, stat: DiskStat, passed_ns: int) -> None:
        last, self._last = self._last, stat
        grown_ns = max(0, stat.queue_ns - last.queue_ns)
        if not grown_ns and (stat.reads, stat.writes) == (last.reads, last.writes):
            waited_ns = (last.in_flight + stat.in_flight) * passed_ns // 2
            self._owed_ns += waited_ns
            self.total_ns += waited_ns
        else:
            paid_ns = min(grown_ns, self._owed_ns)
            self._owed_ns -= paid_ns
            self.total_ns += grown_ns - paid_ns


class DiskStats:
    """Follows the files from refresh to refresh."""

    def __init__(self, root: str = "/proc", sys_root: str = "/sys") -> None:
        self._path = root + "/diskstats"
        self._block = os.fsencode(sys_root + "/block")
        self._whole: dict[bytes, bool] = {}
        self._last: dict[bytes, DiskStat] = {}
        self._base: dict[bytes, DiskStat] = {}
        self._queues: dict[bytes, _Queue] = {}
        self._read_ns = 0

    def refresh(self, cumulative: bool, reset: bool) -> dict[bytes, DiskStat]:
        """What was added since the refresh before, or since the first or the last `reset`.

        Disks that have never had a request are left out; the first refresh gives zeros.
        """
        before_ns, self._read_ns = self._read_ns, time.monotonic_ns()
        now = {
            name: self._with_queue(name, stat, self._read_ns - before_ns)
            for name, stat in parse_diskstats(read_small(self._path, _MOST_BYTES)).items()
            if (stat.reads or stat.writes) and self._is_whole(name)
        }
        known = self._base if cumulative else self._last
        grown = {name: _grown(stat, known.get(name, stat)) for name, stat in now.items()}
        self._base = now if reset else {**now, **self._base}
        self._last = now
        return grown

    def _with_queue(self, name: bytes, stat: DiskStat, passed_ns: int) -> DiskStat:
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = _Queue(stat)
        else:
            queue.add(stat, passed_ns)
        return stat._replace(queue_ns=queue.total_ns)

    def _is_whole(self, name: bytes) -> bool:
        """Neither a part of a disk nor stacked on disks."""
        if name not in self._whole:
            folder = self._block + b"/" + name.replace(b"/", b"!")
            try:
                self._whole[name] = os.path.isdir(folder) and not os.listdir(folder + b"/slaves")
            except OSError:
                self._whole[name] = os.path.isdir(folder)
        return self._whole[name]


def disk_rows(grown: dict[bytes, DiskStat]) -> Table:
    """The rows of disks without the probe."""
    return Table(DISK, b"".join(
        DISK.pack({
            "name": name, "known": _REQUESTS | _QUEUE | _BUSY,
            **{key: value for key, value in stat._asdict().items() if key != "in_flight"},
        })
        for name, stat in sorted(grown.items())
    ))  # fmt: skip


def joined(counted: Table, grown: dict[bytes, DiskStat]) -> Table:
    """The probe's rows completed from /proc/diskstats, and rows for disks without any request."""
    rows = {row["name"]: row for row in counted.rows()}
    for name in grown:
        rows.setdefault(name, {"name": name, "known": _REQUESTS | _LATENCY})
    return Table(DISK, b"".join(DISK.pack(_with(rows[name], grown)) for name in sorted(rows)))


def _with(row: dict[str, Any], grown: dict[bytes, DiskStat]) -> dict[str, Any]:
    stat = grown.get(row["name"])
    if stat is None:
        return row
    told = {"queue_ns": stat.queue_ns, "busy_ns": stat.busy_ns}
    return {**row, **told, "known": row["known"] | _QUEUE | _BUSY}
