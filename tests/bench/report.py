# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what the bench prints: headings, tables, medians, and the goals with PASS or MISS.

It measures nothing.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass
class Report:
    """Prints as it goes, so that a run that is cut short has said what it knew."""

    goals: list[tuple[str, float, float, str]] = field(default_factory=list)

    def heading(self, text: str) -> None:
        print(f"\n## {text}\n", flush=True)

    def say(self, text: str) -> None:
        print(text, flush=True)

    def table(self, titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """The first column is text, the others are numbers."""
        lines = [list(titles), *map(list, rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(titles))]
        for line in lines:
            cells = (
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths))
            )
            print("  ".join(cells).rstrip(), flush=True)

    def goal(self, what: str, value: float, most: float, unit: str = "") -> None:
        """A number that has to stay at or below `most`."""
        self.goals.append((what, value, most, unit))
        print(f"{_verdict(value, most)}: {what}: {_number(value)}{unit}, goal {most:g}{unit}")

    def close(self) -> int:
        """All goals once more; 1 when one was missed."""
        if not self.goals:
            return 0
        self.heading("Goals")
        rows = [
            (what, f"{_number(value)}{unit}", f"{most:g}{unit}", _verdict(value, most))
            for what, value, most, unit in self.goals
        ]
        self.table(("", "measured", "at most", ""), rows)
        return int(any(value > most for _, value, most, _ in self.goals))


def _verdict(value: float, most: float) -> str:
    return "PASS" if value <= most else "MISS"


def _number(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def median(values: Iterable[float]) -> float:
    return statistics.median(list(values))


def spread(values: Sequence[float], form: str = "{:.1f}") -> str:
    """How far the repeats lie apart."""
    return f"{form.format(min(values))}..{form.format(max(values))}"


def ratio(ours: float, theirs: float) -> float:
    """A peer that costs nothing was not measured: that is a miss, not a pass."""
    return ours / theirs if theirs > 0 else float("inf")
