# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the time of each CPU in the interval, divided as the kernel divides it.

It is read from /proc/stat for both sources, which includes interrupts, time stolen by a hypervisor
and I/O wait: no process is charged with these. The unit is 10 ms, so an interval shorter than
50 ms shows the values of the previous one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from ebtop.model.layout import CPU, Table
from ebtop.model.snapshot import CpuParts
from ebtop.sources.host import read_small
from ebtop.sources.procparse import CPU_PARTS, Machine, parse_machine

_LEAST_NS = 50_000_000


class CpuStat:
    """Told each refresh; `context_switches` is the kernel's total at the last one."""

    def __init__(self, root: str = "/proc") -> None:
        self._path = root + "/stat"
        self._last: Optional[Machine] = None
        self._last_ns = 0
        self._rows: list[dict[str, int]] = []
        self.context_switches: Optional[int] = None

    def refresh(self, taken_ns: int) -> tuple[Table, Optional[CpuParts]]:
        """A row a CPU that is there, and what they come to; None where nothing is known."""
        machine = parse_machine(read_small(self._path, 1 << 22))
        self.context_switches = machine.context_switches
        if self._last is None or taken_ns - self._last_ns >= _LEAST_NS:
            self._rows = list(_grown(self._last, machine))
            self._last, self._last_ns = machine, taken_ns
        rows = [row for row in self._rows if row["cpu"] in machine.cpus]
        return Table(CPU, b"".join(CPU.pack(row) for row in rows)), _parts(rows)


def _grown(before: Optional[Machine], now: Machine) -> Iterator[dict[str, int]]:
    for cpu, parts in now.cpus.items():
        old = None if before is None else before.cpus.get(cpu)
        row = {"cpu": cpu, "known": 0}
        if old is not None:
            # the kernel lets idle and iowait go back at times
            grown = {name: max(0, parts[name] - old[name]) for name in CPU_PARTS}
            row.update((name + "_ns", ns) for name, ns in grown.items())
            row["known"] = int(any(grown.values()))
        yield row


def _parts(rows: list[dict[str, Any]]) -> Optional[CpuParts]:
    """In percent of a CPU: each CPU is 100, however many ticks it had."""
    known = [row for row in rows if row["known"]]
    if not known:
        return None
    sums = dict.fromkeys(CPU_PARTS, 0.0)
    for row in known:
        whole = sum(row[name + "_ns"] for name in CPU_PARTS)
        for name in CPU_PARTS:
            sums[name] += 100.0 * row[name + "_ns"] / whole
    return CpuParts(**sums)
