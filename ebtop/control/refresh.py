# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the path of every snapshot for samples and for the dashboard: from the source, through the
budget, to the memory history and other listeners.

The callers decide when to refresh and what to show. Streams and `run` have no budget, and use their
session directly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Optional

from ebtop.control.budget import SAMPLED, Budget
from ebtop.control.choose import Source
from ebtop.control.probe_control import ProbeControl
from ebtop.model.memorywatch import MemoryWatch
from ebtop.model.snapshot import Request, Snapshot
from ebtop.sources.memorylimits import Limits


class Refresher:
    """One source's snapshots, in order. `running` and `named` are as in ProbeControl."""

    def __init__(
        self,
        source: Source,
        budget_percent: float,
        running: Optional[Iterable[str]] = None,
        named: Iterable[str] = (),
    ) -> None:
        self._source = source
        self.probe_control = ProbeControl(source, Budget(budget_percent, SAMPLED), running, named)
        self._memory = MemoryWatch(Limits().room)
        self._listeners: list[Callable[[Snapshot], object]] = []

    def tell(self, listener: Callable[[Snapshot], object]) -> None:
        """It is called with every snapshot from now on."""
        self._listeners.append(listener)

    def begin(self, request: Request) -> None:
        """Begins the first interval; what happened before it is not reported."""
        self._source.refresh(threads=request.threads, cost=True, cumulative=request.cumulative)

    def refresh(
        self,
        request: Request,
        looked_at: Optional[tuple[int, int]] = None,
        reset: bool = False,
    ) -> Snapshot:
        """Ends the interval. `looked_at` is (pid, start_ns) of a process whose memory is of
        interest; with `reset` cumulative counting begins anew."""
        snapshot = self._source.refresh(
            threads=request.threads,
            cost=True,
            cumulative=request.cumulative,
            reset=reset,
            window=request.window,
            functions=request.functions,
            every=self.probe_control.every,
        )
        self._memory.look_at(looked_at)
        snapshot = self._memory.watch(self.probe_control.apply_budget(snapshot))
        for listener in self._listeners:
            listener(snapshot)
        return snapshot
