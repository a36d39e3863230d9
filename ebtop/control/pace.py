# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns how long to wait until the next refresh: shorter in a burst, longer on a loaded machine.

Pure. The interval moves one step per refresh. A reason holds until its cause is well below the
threshold, so that the interval does not oscillate. Without a reason the interval returns to the
base.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional

BURST_EVENTS_PER_S = 1000.0
LOAD_PER_CPU = 2.0
COST_SHARE = 0.25
RELEASE = 0.6
"""A reason ends below this part of its mark."""
STEP = 1.25

BURST = "many events"
LOADED = "machine is loaded"
COSTLY = "refresh is slow"


@dataclass(frozen=True)
class Pace:
    """The refresh interval in force, the bounds it moves in, and why it is what it is."""

    interval_s: float = 1.0
    base_s: float = 1.0
    min_s: float = 0.1
    max_s: float = 10.0
    reason: str = ""


@dataclass(frozen=True)
class Signs:
    """What the last interval was like; None where it could not be found out."""

    events_per_s: float
    load1: Optional[float]
    cpus: int
    refresh_s: float
    """Wall-clock time that the refresh and the drawing took."""


def next_pace(now: Pace, signs: Signs) -> Pace:
    """The pace after one more refresh."""
    reason = _reason(now, signs)
    if not reason:
        return replace(now, interval_s=_towards(now.interval_s, now.base_s), reason="")
    goal_s = clamp(now, 0.0 if reason == BURST else float("inf"))
    interval_s = clamp(now, _towards(now.interval_s, goal_s))
    # a bound that leaves no room to move: the interval is the one requested, nothing to explain
    return replace(now, interval_s=interval_s, reason="" if goal_s == now.base_s else reason)


def with_base(now: Pace, base_s: float) -> Pace:
    """The pace when the user asks for another base: in force at once."""
    base_s = min(max(base_s, now.min_s), now.max_s)
    return replace(now, base_s=base_s, interval_s=base_s, reason="")


def clamp(now: Pace, interval_s: float) -> float:
    """`interval_s` within the user's bounds; the base itself is always allowed."""
    low, high = min(now.min_s, now.base_s), max(now.max_s, now.base_s)
    return min(max(interval_s, low), high)


def _reason(now: Pace, signs: Signs) -> str:
    """The strongest cause; sparing a loaded machine comes before following a burst."""
    load = signs.load1 or 0.0
    if _over(load, LOAD_PER_CPU * signs.cpus, now.reason == LOADED):
        return LOADED
    if _over(signs.refresh_s, COST_SHARE * now.interval_s, now.reason == COSTLY):
        return COSTLY
    if _over(signs.events_per_s, BURST_EVENTS_PER_S, now.reason == BURST):
        return BURST
    return ""


def _over(value: float, mark: float, held: bool) -> bool:
    return value > mark * (RELEASE if held else 1.0)


def _towards(interval_s: float, goal_s: float) -> float:
    if interval_s < goal_s:
        return min(interval_s * STEP, goal_s)
    return max(interval_s / STEP, goal_s)
