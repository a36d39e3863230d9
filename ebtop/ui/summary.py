# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the summary line that the dashboard prints at exit: duration, cost, losses.

It sums snapshots and knows nothing of the screen.
"""

from __future__ import annotations

from typing import Optional

from ebtop import units
from ebtop.model.snapshot import Snapshot


class Summary:
    """One a run."""

    def __init__(self) -> None:
        self._samples = 0
        self._seconds = 0.0
        self._own_s: Optional[float] = 0.0
        self._probe_ns: Optional[int] = 0
        self._lost = 0
        self._bpf = False

    def absorb(self, snapshot: Snapshot) -> None:
        cost = snapshot.self_cost
        self._samples += 1
        self._seconds += snapshot.interval_s
        self._bpf = snapshot.source == "bpf"
        self._lost = sum(cost.lost_total.values())
        if cost.cpu_percent is None or self._own_s is None:
            # ebtop's own cost is unknown for the first interval
            self._own_s = self._own_s if self._samples == 1 else None
        else:
            self._own_s += cost.cpu_percent / 100 * snapshot.interval_s
        known = cost.probe_ns is not None and self._probe_ns is not None
        self._probe_ns = (self._probe_ns or 0) + (cost.probe_ns or 0) if known else None

    def text(self) -> str:
        """`ebtop: 63 samples in 2m03s; it used 0.3% of a CPU, its probes 0.02%; ...`, or empty."""
        if not self._seconds:
            return ""
        own = _percent(None if self._own_s is None else self._own_s / self._seconds)
        samples = f"{self._samples} sample{'s' * (self._samples != 1)}"
        took = units.duration(self._seconds * 1e9)
        parts = [f"ebtop: {samples} in {took}", f"it used {own} of a CPU"]
        if self._bpf:
            share = None if self._probe_ns is None else self._probe_ns / 1e9 / self._seconds
            parts[1] += f", its probes {_percent(share)}"
            lost = (
                units.count(self._lost) + " events or counts were" if self._lost else "nothing was"
            )
            parts.append(f"{lost} lost")
        return "; ".join(parts)


def _percent(share: Optional[float]) -> str:
    return units.UNKNOWN if share is None else f"{100 * share:.2f}%"
