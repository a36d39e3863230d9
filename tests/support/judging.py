# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the verdict on a soak: what may grow, by how much, and how near the kernel's counts are.

It decides from numbers alone: nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

WARM_SECONDS = 60.0
WINDOW_SECONDS = 60.0
ROUND_SECONDS = 20
"""What is done to the dashboard comes again in that time: a window holds whole rounds."""
MIB = 1 << 20
Sample = dict[str, float]


@dataclass(frozen=True)
class Growth:
    """A value just after the first minute and at the end: the middle of each window."""

    name: str
    first: float
    last: float
    most: float
    limit: float

    @property
    def grown(self) -> float:
        return self.last - self.first

    @property
    def good(self) -> bool:
        return self.grown <= self.limit


def limit_of(name: str) -> float:
    """What a measured value may grow by: memory by the allocator's noise, nothing else at all."""
    return 2 * MIB if name.endswith(" resident") else 0


def windows(samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """The samples after the first minute that begin and end what is compared."""
    warm = [sample for sample in samples if sample["second"] >= WARM_SECONDS]
    span = warm[-1]["second"] - WARM_SECONDS if warm else 0.0
    width = min(WINDOW_SECONDS, span / 2 // ROUND_SECONDS * ROUND_SECONDS)
    if not width:
        raise ValueError("a soak takes at least the minute that is left out, and two rounds")
    first = [s for s in warm if s["second"] < WARM_SECONDS + width]
    return first, [s for s in warm if s["second"] > warm[-1]["second"] - width]


def growths(samples: Sequence[Sample], names: Sequence[str]) -> list[Growth]:
    first, last = windows(samples)
    return [
        Growth(
            name,
            median(sample[name] for sample in first),
            median(sample[name] for sample in last),
            max(sample[name] for sample in samples),
            limit_of(name),
        )
        for name in names
    ]


@dataclass(frozen=True)
class Agreement:
    """A count of the kernel's beside ebtop's, with what ebtop says it has lost."""

    what: str
    kernel: int
    counted: int
    lost: int
    tolerance: float
    """How much of the kernel's count may be in neither, or in both."""
    at_least: int = 20
    """Differences up to here come from the two not being read at one time."""

    @property
    def missing(self) -> int:
        return self.kernel - self.counted - self.lost

    @property
    def good(self) -> bool:
        return abs(self.missing) <= max(self.at_least, self.kernel * self.tolerance)


def table(rows: Sequence[Sequence[object]]) -> str:
    """Columns under each other; the first of a row to the left, the others to the right."""
    words = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*words)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        )
        for row in words
    )
