# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the judgement whether a process leaks memory, from how it grew over the last minutes.

Pure: it judges a series of points in time. A leak is reported when anonymous memory grew steadily
over the whole time, in step with memory that was mapped and not unmapped. memorywatch.py decides
which processes are followed, and collects the points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Optional

LEAST_SPAN_S = 48.0
"""A process that has grown for a shorter time may be starting up."""
LEAST_POINTS = 8
LEAST_BYTES = 1 << 20
LEAST_SHARE = 0.005
"""The growth must be at least this part of its memory."""
LEAST_R2 = 0.9
LEAST_STEP_R2 = 0.8
PARTS = 4
PART_LEAST, LAST_LEAST = 0.4, 0.6
"""Each part of the time, and the last one, must add this much of its share: a start-up slows
down."""
EXPLAINED = 0.5
"""Memory not returned must explain this part of the growth."""
MOST_BACK = 0.1
"""A leaking process may have returned this part of the growth in between."""
FELL_BYTES, FELL_SHARE = 1 << 20, 0.05
BEYOND = 1.1
"""A process that returned memory leaks only above this many times its size at that time."""


class Point(NamedTuple):
    """What was known of a process at one time."""

    time_s: float
    resident: int
    """Anonymous memory, in bytes."""
    unreturned: int
    """Mapped less unmapped, in bytes, since it is watched; it may be negative."""


@dataclass(frozen=True)
class Leak:
    """How a process grows, and what that rests on."""

    bytes_per_s: float
    r2: float
    """How well a straight line fits; 1 is a perfect fit."""
    span_s: float
    grown_bytes: int
    unreturned_bytes: int
    limit: Optional[str] = None
    """What will be full first: machine or cgroup; None where that is not known."""
    room_bytes: Optional[int] = None
    full_s: Optional[float] = None
    """When, if it goes on like this."""


@dataclass(frozen=True)
class Watch:
    """The growth of a followed process that does not seem to leak so far."""

    span_s: float
    grown_bytes: int
    """Anonymous memory."""
    shared_bytes: int
    """Memory that it shares with others."""
    unreturned_bytes: int

    @property
    def is_enough(self) -> bool:
        """Whether it has been watched for long enough to say that it does not leak."""
        return self.span_s >= LEAST_SPAN_S

    @property
    def is_shared(self) -> bool:
        """The memory that it maps and keeps is shared with other processes."""
        return self.shared_bytes >= max(LEAST_BYTES, EXPLAINED * self.unreturned_bytes)

    @property
    def is_untouched(self) -> bool:
        """It maps more and more, and uses little of it."""
        used = self.grown_bytes + max(0, self.shared_bytes)
        return self.unreturned_bytes >= LEAST_BYTES and used <= MOST_BACK * self.unreturned_bytes


def judge(points: Sequence[Point], given_back_from: int = 0) -> Optional[Leak]:
    """The leak, or None without evidence of one. `given_back_from` is the memory that the process
    had before it returned some of it."""
    if len(points) < LEAST_POINTS:
        return None
    first, last = points[0], points[-1]
    span_s, grown = last.time_s - first.time_s, last.resident - first.resident
    unreturned = last.unreturned - first.unreturned
    if span_s < LEAST_SPAN_S or grown < max(LEAST_BYTES, LEAST_SHARE * last.resident):
        return None
    if last.resident < BEYOND * given_back_from or unreturned < EXPLAINED * grown:
        return None
    if not _all_along(points, grown) or _most_back(points) > MOST_BACK * grown:
        return None
    times = [point.time_s for point in points]
    residents = [float(point.resident) for point in points]
    slope, r2 = fit(times, residents)
    step = fit([float(point.unreturned) for point in points], residents)[1]
    if slope <= 0 or r2 < LEAST_R2 or step < LEAST_STEP_R2:
        return None
    return Leak(slope, r2, span_s, grown, unreturned)


def fit(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """Slope of the straight line that fits best, and how much of the variance it explains."""
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    xx = sum((x - mean_x) ** 2 for x in xs)
    yy = sum((y - mean_y) ** 2 for y in ys)
    xy = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys))
    if xx <= 0 or yy <= 0:
        return 0.0, 0.0
    # not xy * xy / (xx * yy): of tiny numbers the product is 0
    return xy / xx, min(1.0, (xy / xx) * (xy / yy))


def _all_along(points: Sequence[Point], grown: int) -> bool:
    """Whether every part of the time has its share of the growth, the last part most of its own."""
    first, last = points[0], points[-1]
    part_s = (last.time_s - first.time_s) / PARTS
    before = first.resident
    for part in range(1, PARTS + 1):
        until = first.time_s + part * part_s
        # the last point is exactly at the end, whatever rounding says
        at = last if part == PARTS else max(p for p in points if p.time_s <= until)
        least = LAST_LEAST if part == PARTS else PART_LEAST
        if at.resident - before < least * grown / PARTS:
            return False
        before = at.resident
    return True


def _most_back(points: Sequence[Point]) -> int:
    highest, most = points[0].resident, 0
    for point in points:
        highest = max(highest, point.resident)
        most = max(most, highest - point.resident)
    return most


def fell(highest: int, resident: int) -> bool:
    """Whether the drop is large enough to mean that memory was returned."""
    return highest - resident > max(FELL_BYTES, FELL_SHARE * highest)


# ---- fragmentation ----

MANY_MAPPINGS = 4096
SMALL_MAPPING_BYTES = 256 << 10
NEAR_LIMIT = 0.8


@dataclass(frozen=True)
class Fragments:
    """Many small mappings: each costs the kernel memory, and their number is limited."""

    mappings: int
    average_bytes: int
    limit: Optional[int]
    """vm.max_map_count; None where it is not known."""


def judge_mappings(mappings: int, virtual_bytes: int, limit: Optional[int]) -> Optional[Fragments]:
    """None where there are few, or large ones and room for more."""
    average = virtual_bytes // mappings if mappings else 0
    many_small = mappings >= MANY_MAPPINGS and average <= SMALL_MAPPING_BYTES
    near = limit is not None and mappings >= NEAR_LIMIT * limit
    return Fragments(mappings, average, limit) if many_small or near else None
