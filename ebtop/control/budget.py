# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns which probes are shed because together they cost too much, and when they come back.

Pure: the caller reports the cost of each interval, and the sum of the intervals is the clock. Costs
are in percent of the whole machine. Standing probes are never shed; their cost only adds to the
sum.

The cost of a shed probe is unknown, so the probe comes back on trial when the budget has room.
After a failed trial the next one waits twice as long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Optional

from ebtop.probes import PROBES, rank

SAMPLED = {probe.name: probe.sampled for probe in PROBES if probe.sampled > 1}
"""Probes that can time one of N operations, a cheaper step before they are shed."""
_STEP = ":durations"

WINDOW_S = 3.0
"""The mean cost over this time is judged; after a change nothing is judged for as long."""
FLAGRANT = 4.0
FLAGRANT_S = 1.0
"""A cost of this many times the budget is acted on sooner."""
WORTH = 0.05
"""A probe is shed only if it costs at least this part of the budget."""
ROOM = 0.75
"""A probe comes back when no more of the budget is spent than this part."""
FIRST_WAIT_S = 5.0
MOST_WAIT_S = 320.0
CALM_S = 60.0
"""A probe that has run this long since its return starts with the short wait again."""


@dataclass(frozen=True)
class Look:
    """What an interval cost, in percent of the machine."""

    seconds: float
    own: float
    """Of ebtop itself, and of the probes that are never shed."""
    probes: Mapping[str, Optional[float]]
    """By probe that runs and can be shed; None where the cost is unknown."""


@dataclass(frozen=True)
class Shed:
    """A shed probe: when it may come back, its cost, and the total cost when it was shed."""

    until_s: float
    cost: Optional[float]
    total: float


class Budget:
    """`look` ends an interval and changes `shed` by at most one probe."""

    def __init__(self, percent: float, sampled: Mapping[str, int] = MappingProxyType({})) -> None:
        self.percent = percent
        self._can_sample = sampled
        self.shed: dict[str, Shed] = {}
        """By name, those shed last at the end."""
        self.total: Optional[float] = None
        """What the last interval cost."""
        self.stuck = False
        """The cost exceeds the budget, but shedding any probe that is left would not help."""
        self._now_s = 0.0
        self._looks: deque[Look] = deque()
        self._skip = False
        self._waits: dict[str, float] = {}
        self._back_s: dict[str, float] = {}

    @property
    def every(self) -> Mapping[str, int]:
        """For each sampled probe N, where one of N operations is timed."""
        return {name: n for name, n in self._can_sample.items() if name + _STEP in self.shed}

    def look(self, look: Look) -> None:
        """Ends an interval."""
        self._now_s += look.seconds
        self.total = _total(look)
        if look.seconds <= 0:
            return
        if self._skip:  # the cost of loading and closing probes is not the cost of running them
            self._skip = False
            return
        self._looks.append(look)
        while sum(past.seconds for past in list(self._looks)[1:]) >= WINDOW_S:
            self._looks.popleft()
        self._decide()

    # ---- decisions ----

    def _decide(self) -> None:
        watched_s = sum(look.seconds for look in self._looks)
        mean = sum(_total(look) * look.seconds for look in self._looks) / watched_s
        believed = watched_s >= WINDOW_S
        flagrant = watched_s >= FLAGRANT_S and mean > FLAGRANT * self.percent
        if mean > self.percent and (believed or flagrant):
            self._shed_dearest(mean)
        elif believed:
            self.stuck = False
            if mean <= ROOM * self.percent:
                self._take_back()

    def _shed_dearest(self, total: float) -> None:
        costs = self._costs()
        worth = WORTH * self.percent
        left = [name for name, cost in costs.items() if cost is None or cost >= worth]
        self.stuck = not left
        if self.stuck:
            return
        name = min(left, key=lambda name: (-(costs[name] or 0.0), rank(name)))
        cost, step = costs[name], name + _STEP
        if name in self._can_sample and step not in self.shed:
            name = step
        wait_s = FIRST_WAIT_S
        if name in self._back_s and self._now_s - self._back_s[name] < CALM_S:
            wait_s = min(2 * self._waits.get(name, FIRST_WAIT_S), MOST_WAIT_S)
        self._waits[name] = wait_s
        self.shed[name] = Shed(self._now_s + wait_s, cost, total)
        self._changed()

    def _take_back(self) -> None:
        due = [name for name, shed in self.shed.items() if shed.until_s <= self._now_s]
        if not due:
            return
        name = due[-1]  # the probe that was shed last, which was the cheapest
        del self.shed[name]
        self._back_s[name] = self._now_s
        self._changed()

    def _changed(self) -> None:
        self._looks.clear()
        self._skip = True

    def _costs(self) -> dict[str, Optional[float]]:
        """Means of the window, of those that run now."""
        found: dict[str, Optional[float]] = {}
        for name in self._looks[-1].probes:
            known = [(look.probes[name], look.seconds) for look in self._looks
                     if name in look.probes]  # fmt: skip
            sums = [cost * seconds for cost, seconds in known if cost is not None]
            whole = len(sums) == len(known)
            seconds = sum(seconds for _, seconds in known)
            found[name] = sum(sums) / seconds if whole else None
        return found


def _total(look: Look) -> float:
    return look.own + sum(cost for cost in look.probes.values() if cost is not None)
