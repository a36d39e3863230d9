# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what the kernel itself says of disks (/proc/diskstats), and how it becomes rows.

The /proc source has nothing else of disks; beside the BPF probe it gives what needs no event: how
many requests are in flight now, and how long there was one. Which are whole disks that are not
stacked on others (md, LVM) is asked of /sys, once each.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

from ebtop.host import read_small
from ebtop.layout import DISK, DISK_FACTS, Table
from ebtop.procparse import number

_SECTOR = 512
_MS = 1_000_000
_MOST_BYTES = 1 << 22
_REQUESTS, _LATENCY, _QUEUE, _BUSY = (1 << DISK_FACTS.index(name) for name in (
    "requests", "latency", "queue", "busy"))  # fmt: skip


class DiskStat(NamedTuple):
    """One line. All but `queue_depth` only grow; those after it older kernels do not have."""

    reads: int
    read_bytes: int
    writes: int
    write_bytes: int
    queue_depth: int
    busy_ns: int
    discards: int = 0
    discard_bytes: int = 0


def parse_diskstats(data: Optional[bytes]) -> dict[bytes, DiskStat]:
    """By name, partitions included; a line that is not as the kernel writes it is left out."""
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
            counts[9] * _MS, *discards,
        )  # fmt: skip


def _grown(now: DiskStat, before: DiskStat) -> DiskStat:
    grown = DiskStat(*(max(0, a - b) for a, b in zip(now, before)))
    return grown._replace(queue_depth=now.queue_depth)


class DiskStats:
    """Follows the files from refresh to refresh."""

    def __init__(self, root: str = "/proc", sys_root: str = "/sys") -> None:
        self._path = root + "/diskstats"
        self._block = os.fsencode(sys_root + "/block")
        self._whole: dict[bytes, bool] = {}
        self._last: dict[bytes, DiskStat] = {}
        self._base: dict[bytes, DiskStat] = {}

    def refresh(self, cumulative: bool, reset: bool) -> dict[bytes, DiskStat]:
        """What was added since the refresh before, or since the first or the last `reset`.

        Disks that have never had a request are left out; the first refresh gives zeros.
        """
        now = {
            name: stat
            for name, stat in parse_diskstats(read_small(self._path, _MOST_BYTES)).items()
            if (stat.reads or stat.writes) and self._is_whole(name)
        }
        known = self._base if cumulative else self._last
        grown = {name: _grown(stat, known.get(name, stat)) for name, stat in now.items()}
        self._base = now if reset else {**now, **self._base}
        self._last = now
        return grown

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
    """All that can be said of disks without the probe."""
    return Table(DISK, b"".join(
        DISK.pack({"name": name, "known": _REQUESTS | _QUEUE | _BUSY, **stat._asdict()})
        for name, stat in sorted(grown.items())
    ))  # fmt: skip


def joined(counted: Table, grown: dict[bytes, DiskStat]) -> Table:
    """The probe's rows with what only the kernel's files say; and disks that had no request."""
    rows = {row["name"]: row for row in counted.rows()}
    for name in grown:
        rows.setdefault(name, {"name": name, "known": _REQUESTS | _LATENCY})
    return Table(DISK, b"".join(DISK.pack(_with(rows[name], grown)) for name in sorted(rows)))


def _with(row: dict[str, Any], grown: dict[bytes, DiskStat]) -> dict[str, Any]:
    stat = grown.get(row["name"])
    if stat is None:
        return row
    told = {"queue_depth": stat.queue_depth, "busy_ns": stat.busy_ns}
    return {**row, **told, "known": row["known"] | _QUEUE | _BUSY}
