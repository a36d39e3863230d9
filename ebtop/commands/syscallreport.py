# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what `ebtop syscalls` writes: the table of system calls and drawings of their latencies.

The columns are model/syscall_table.py's, the drawing is ui/views/histogram.py's, a call as JSON is
outputs/sample_json.py's; when a report is due is syscalls.py's concern.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from ebtop import units
from ebtop.model.process_table import Row
from ebtop.model.snapshot import Snapshot
from ebtop.model.syscall_table import (
    COLUMNS,
    NAME_WIDTH,
    call_name,
    histogram,
    order,
    percentiles,
    shown,
)
from ebtop.model.syscallnames import name_in
from ebtop.outputs.eventlines import json_line, utc
from ebtop.outputs.sample_json import SCHEMA, syscall
from ebtop.text import fit
from ebtop.ui.views.histogram import histogram_lines
from ebtop.ui.views.line import line_text

_DRAWN = 3
"""So many of the first are drawn when none is named."""
_DRAWING_WIDTH = 76
_LOST = ("syscalls", "thread_slots", "pid_range")
"""Causes by which calls are missing here."""


def json_report(snapshot: Snapshot, names: tuple[str, ...]) -> str:
    """One object, its newline included; the calls by total time."""
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "type": "syscalls",
        "time": utc(int(snapshot.time * 1e9)),
        "interval_s": round(snapshot.window_s, 6),
        "syscalls": [syscall(row) for row in _rows(snapshot, names)],
        "lost": {cause: snapshot.self_cost.lost_total[cause] for cause in _LOST},
    }
    return json_line(report)


def text_report(snapshot: Snapshot, names: tuple[str, ...], ascii: bool) -> str:
    """The table, then the drawings: of the calls named, else of the first few."""
    rows = _rows(snapshot, names)
    lines = [_heading(snapshot, rows, ascii), *_table(rows, ascii)]
    for row in rows if names else rows[:_DRAWN]:
        lines += ["", *_drawing(row, ascii)]
    return "".join(line.rstrip() + "\n" for line in [*lines, ""])


def _rows(snapshot: Snapshot, names: tuple[str, ...]) -> list[Row]:
    table = snapshot.syscalls
    if table is None:
        return []
    rows = (table.row(index) for index in order(table, "total"))
    return [row for row in rows if not names or name_in(row) in names]


def _heading(snapshot: Snapshot, rows: list[Row], ascii: bool) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(snapshot.time))
    calls = sum(row["calls"] for row in rows)
    errors = sum(row["errors"] for row in rows)
    lost = sum(snapshot.self_cost.lost_total[cause] for cause in _LOST)
    missing = f", {lost} not counted" if lost else ""
    span = units.latency(snapshot.window_s * 1e9, ascii)
    return f"[{clock}] {calls} calls, {errors} errors in {span}{missing}"


def _table(rows: list[Row], ascii: bool) -> Iterator[str]:
    if not rows:
        return
    titles = "".join(" " + column.title.rjust(column.width) for column in COLUMNS)
    yield fit("CALL", NAME_WIDTH) + titles
    for row in rows:
        numbers = "".join(" " + shown(c, row, ascii).rjust(c.width) for c in COLUMNS)
        yield fit(call_name(row), NAME_WIDTH) + numbers


def _drawing(row: Row, ascii: bool) -> Iterator[str]:
    marks = percentiles(row)
    said = "".join(f"  {name} {units.latency(ns, ascii)}" for name, ns in marks.items())
    yield call_name(row) + said
    for line in histogram_lines(histogram(row), _DRAWING_WIDTH, marks, ascii):
        yield "  " + line_text(line)
