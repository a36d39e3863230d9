# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the panel of disks: a line a disk, with what it does and how long requests take.

What the values are is `model/disk_table.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Callable

from ebtop import units
from ebtop.model.disk_table import values
from ebtop.model.snapshot import Snapshot
from ebtop.probes import BLOCK
from ebtop.text import displayable, fit
from ebtop.ui.state import DISKS, ViewState
from ebtop.ui.views.line import Line, Span, Style, fit_line
from ebtop.ui.views.missing import why_missing
from ebtop.ui.views.panels import title
from ebtop.units import UNKNOWN

NAME_WIDTH = 12
_BUSY_PERCENT = 90
"""From here on a disk is near what it can do."""


@dataclass(frozen=True)
class _Column:
    title: str
    """A title that ends in `/S` is a rate; without it, the column is a total."""
    width: int
    name: str
    write: Callable[[float, float, bool], str]
    """The value, the seconds by which it is divided, and whether only ASCII may be written."""
    importance: int


def _size_rate(value: float, seconds: float, ascii: bool) -> str:
    return units.size(value / seconds) if seconds > 0 else UNKNOWN


def _rate(value: float, seconds: float, ascii: bool) -> str:
    return units.rate(value / seconds) if seconds > 0 else UNKNOWN


def _mean(value: float, seconds: float, ascii: bool) -> str:
    return f"{value:.1f}" if value < 100 else units.count(round(value))


def _latency(value: float, seconds: float, ascii: bool) -> str:
    return units.latency(value, ascii)


def _percent(value: float, seconds: float, ascii: bool) -> str:
    return units.percent(value)


def _ratio(value: float, seconds: float, ascii: bool) -> str:
    return f"{100 * value:.0f}"


_COLUMNS = (
    _Column("READ/S", 6, "read_bytes", _size_rate, 100),
    _Column("WRITE/S", 7, "write_bytes", _size_rate, 100),
    _Column("READS/S", 7, "reads", _rate, 70),
    _Column("WRITES/S", 8, "writes", _rate, 70),
    _Column("P50", 6, "latency_p50_ns", _latency, 80),
    _Column("P99", 6, "latency_p99_ns", _latency, 90),
    _Column("MAX", 6, "latency_max_ns", _latency, 50),
    _Column("QUEUED99", 8, "queued_latency_p99_ns", _latency, 40),
    _Column("DEPTH", 5, "queue_depth", _mean, 60),
    _Column("BUSY%", 5, "busy_percent", _percent, 95),
    _Column("SEQ%", 5, "sequential_ratio", _ratio, 30),
    _Column("ERRORS/S", 8, "errors", _rate, 20),
)


def disks_panel(
    snapshot: Snapshot, state: ViewState, height: int, width: int
) -> tuple[list[Line], ViewState]:
    """The panel in `height` lines, its title first, and the state with its wishes done."""
    table = snapshot.disks
    top = [title(DISKS, state)]
    if table is None or not len(table):
        why = "no disk has had a request"
        if table is None:
            why = why_missing(BLOCK, snapshot, state) or "counting from now on"
        lines = [*top, (Span("  " + why, Style.DIM),)]
        return lines[:height], replace(state, move=0, move_pages=0)
    columns = _fitting(width, snapshot.cumulative)
    room = max(0, height - 2)
    wished = state.disks_scroll + state.move + state.move_pages * max(1, room - 1)
    first = max(0, min(wished, len(table) - room))
    lines = [*top, fit_line((Span(_heading(columns), Style.COLUMN_HEADER),), width)]
    for index in range(first, min(first + room, len(table))):
        lines.append(_disk_line(table.row(index), columns, snapshot, state))
    return lines[:height], replace(state, disks_scroll=first, move=0, move_pages=0)


def _fitting(width: int, totals: bool) -> list[_Column]:
    kept = list(_COLUMNS)
    if totals:
        kept = [replace(c, title=c.title.replace("/S", "")) for c in kept]
    while sum(column.width + 1 for column in kept) > width - NAME_WIDTH - 1:
        kept.remove(min(kept, key=lambda column: column.importance))
    return kept


def _heading(columns: Sequence[_Column]) -> str:
    return " " + fit("DISK", NAME_WIDTH) + "".join(" " + c.title.rjust(c.width) for c in columns)


def _disk_line(
    row: dict[str, Any], columns: Sequence[_Column], snapshot: Snapshot, state: ViewState
) -> Line:
    seconds = snapshot.counted_s
    found = values(row, seconds)
    divisor = 1.0 if snapshot.cumulative else seconds
    spans = [Span(" " + fit(displayable(row["name"], state.ascii), NAME_WIDTH), Style.BOLD)]
    for column in columns:
        value = found[column.name]
        text = UNKNOWN if value is None else column.write(value, divisor, state.ascii)
        spans.append(Span(" " + text.rjust(column.width), _style(column.name, value)))
    return tuple(spans)


def _style(name: str, value: Any) -> Style:
    if name == "errors" and value:
        return Style.BAD
    if name == "busy_percent" and value is not None and value >= _BUSY_PERCENT:
        return Style.WARNING
    return Style.NORMAL
