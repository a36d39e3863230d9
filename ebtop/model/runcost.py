# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the cost of a run: the sum of the costs that snapshots report interval by interval."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from ebtop.model.snapshot import ProbeStatus, Snapshot


class RunCost:
    """The sum over all snapshots since counting began anew."""

    def __init__(self) -> None:
        self.events = 0
        """Records read from the ring buffer."""
        self.cpu_ns = 0
        """Of ebtop itself, while the command ran."""
        self._timed: dict[str, tuple[Optional[int], Optional[int]]] = {}
        self._probes: tuple[ProbeStatus, ...] = ()

    def absorb(self, snapshot: Snapshot) -> None:
        self.events += snapshot.self_cost.events
        self._probes = snapshot.probes
        for probe in snapshot.probes:
            if probe.state == "on":
                runs, run_ns = self._timed.get(probe.name, (0, 0))
                self._timed[probe.name] = _sum(runs, probe.runs), _sum(run_ns, probe.run_ns)

    def probes(self) -> tuple[ProbeStatus, ...]:
        """As in the last snapshot, with all their runs."""
        none: tuple[Optional[int], Optional[int]] = (None, None)
        timed = ((probe, self._timed.get(probe.name, none)) for probe in self._probes)
        return tuple(replace(probe, runs=runs, run_ns=run_ns) for probe, (runs, run_ns) in timed)

    @property
    def probe_ns(self) -> Optional[int]:
        """Time inside all BPF programs; None where the kernel's statistics were off."""
        if not self._timed:
            return None
        total: Optional[int] = 0
        for _, run_ns in self._timed.values():
            total = _sum(total, run_ns)
        return total


def _sum(left: Optional[int], right: Optional[int]) -> Optional[int]:
    """Unknown when any part is."""
    return None if left is None or right is None else left + right
