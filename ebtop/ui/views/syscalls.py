# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the panel of system calls: the table, and the histogram of the selected call with it.

The histogram stands beside the table where that is wide enough, else below it, and gives way
where there is no room for both. Order and columns are `model/syscall_table.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Optional

from ebtop import units
from ebtop.model.layout import Table
from ebtop.model.process_table import Row
from ebtop.model.snapshot import Snapshot
from ebtop.model.syscall_table import (
    BY_NAME,
    NAME_WIDTH,
    SyscallColumn,
    call_name,
    fitting,
    heading,
    histogram,
    order,
    percentiles,
    shown,
)
from ebtop.probes import SYSCALL
from ebtop.text import fit
from ebtop.ui.state import SYSCALLS, ViewState
from ebtop.ui.views.histogram import histogram_lines
from ebtop.ui.views.line import Line, Span, Style, fit_line
from ebtop.ui.views.missing import why_missing
from ebtop.ui.views.panels import title

_TABLE_WIDTH = NAME_WIDTH + 8 * 8 + 2 + 1
_BESIDE = 100
"""From this width on the histogram stands beside the table."""
_DRAWING_WIDTH = 47
"""What the histogram gets at least; the table gives up columns for it."""
_LEAST_ROOM = 16
"""Lines of table and histogram together, under which only the table is shown."""
_WINDOWS = {
    "interval": "last interval, {}",
    "ten_seconds": "last {}",
    "reset": "since reset, {}",
}


def syscalls_panel(
    snapshot: Snapshot, state: ViewState, height: int, width: int
) -> tuple[list[Line], ViewState]:
    """The panel in `height` lines, its title first, and the state with its wishes done."""
    table = snapshot.syscalls
    if table is None or not len(table):
        why = "no system call in this time"
        if table is None:
            why = why_missing(SYSCALL, snapshot, state) or "counting from now on"
        top = [_title(snapshot, state), (Span("  " + why, Style.DIM),)]
        return top[:height], replace(state, move=0, move_pages=0)
    ordered = order(table, state.syscall_sort, state.syscall_reverse)
    state, at = _chosen(table, ordered, state, height - 3)
    row = table.row(ordered[at])
    if width >= _BESIDE:
        state = _scrolled(state, at, len(ordered), height - 2)
        split = min(_TABLE_WIDTH, width - _DRAWING_WIDTH - 2)
        left = _table_lines(snapshot, ordered, state, height - 2, split)
        right = _drawing(row, state, width - split - 2, height - 1)
        lines = _side_by_side(left, right, split)
    else:
        room = height - 1
        lines = _drawing(row, state, width - 2, room // 2) if room >= _LEAST_ROOM else []
        rows = room - 1 - len(lines)
        state = _scrolled(state, at, len(ordered), rows)
        lines = _table_lines(snapshot, ordered, state, rows, width) + lines
    return [_title(snapshot, state), *lines][:height], state


def _side_by_side(left: list[Line], right: list[Line], width: int) -> list[Line]:
    return [
        (*fit_line(one, width), Span("  "), *other)
        for one, other in zip_longest(left, right, fillvalue=())
    ]


def _title(snapshot: Snapshot, state: ViewState) -> Line:
    """What the table covers, how it is sorted, and how many calls there were of all kinds."""
    if snapshot.syscalls is None:
        return title(SYSCALLS, state)
    seconds = snapshot.window_s
    first = ", smallest first" if state.syscall_reverse else ""
    spans = [
        *title(SYSCALLS, state),
        Span("  " + _WINDOWS[state.window].format(f"{seconds:.1f} s"), Style.NOTICE),
        Span(f"  by {BY_NAME[state.syscall_sort].phrase}{first}"),
    ]
    if seconds > 0:
        rate = units.rate(sum(snapshot.syscalls.column("calls")) / seconds)
        spans += [Span("  calls ", Style.LABEL), Span(rate + "/s")]
    # by something that the kernel cannot filter by, such as a name
    if state.filter and not snapshot.filter:
        spans.append(Span("  of all processes", Style.NOTICE))
    return (*spans, Span("  W: window", Style.DIM))


def _chosen(
    table: Table, ordered: Sequence[int], state: ViewState, page: int
) -> tuple[ViewState, int]:
    """The state with movement done, and where the selected row stands; the first if none is."""
    numbers, compats = table.column("number"), table.column("compat")
    keys = [(numbers[index], compats[index]) for index in ordered]
    at = keys.index(state.syscall_selected) if state.syscall_selected in keys else 0
    step = state.move + state.move_pages * max(1, page)
    if step:
        if state.syscall_selected is not None or step < 0:
            at = max(0, min(at + step, len(keys) - 1))
        else:  # the first press down selects what is in sight already
            at = min(step - 1, len(keys) - 1)
        state = replace(state, syscall_selected=keys[at])
    return replace(state, move=0, move_pages=0), at


def _scrolled(state: ViewState, at: int, count: int, rows: int) -> ViewState:
    """The state in which the selected row is in sight; without one the first is."""
    at = 0 if state.syscall_selected is None else at
    scroll = min(max(state.syscall_scroll, at - rows + 1), at)
    return replace(state, syscall_scroll=max(0, min(scroll, count - rows)))


def _table_lines(
    snapshot: Snapshot, ordered: Sequence[int], state: ViewState, rows: int, width: int
) -> list[Line]:
    table, columns = snapshot.syscalls, fitting(width - 1)
    assert table is not None
    # since the reset is a sum, and the title of the panel says over which time
    seconds = None if state.window == "reset" else snapshot.window_s
    lines = [fit_line(_heading(columns, state, seconds), width, Style.COLUMN_HEADER)]
    for index in ordered[state.syscall_scroll : state.syscall_scroll + rows]:
        row = table.row(index)
        is_chosen = (row["number"], row["compat"]) == state.syscall_selected
        numbers = "".join(" " + shown(c, row, state.ascii, seconds).rjust(c.width) for c in columns)
        text = (">" if is_chosen else " ") + fit(call_name(row), NAME_WIDTH) + numbers
        lines.append((Span(fit(text, width), Style.SELECTED if is_chosen else Style.NORMAL),))
    return lines


def _heading(columns: Sequence[SyscallColumn], state: ViewState, seconds: Optional[float]) -> Line:
    """As over the processes: `v` or `^` and a colour mark the column that sorts."""
    spans = [Span(" " + fit("CALL", NAME_WIDTH), Style.COLUMN_HEADER)]
    for column in columns:
        is_sorted = column.name == state.syscall_sort
        mark = ("^" if state.syscall_reverse else "v") if is_sorted else " "
        style = Style.COLUMN_HEADER_SORTED if is_sorted else Style.COLUMN_HEADER
        spans.append(Span((mark + heading(column, seconds)).rjust(column.width + 1), style))
    return tuple(spans)


def _drawing(row: Row, state: ViewState, width: int, height: int) -> list[Line]:
    """The histogram under a title that has the percentiles in numbers."""
    marks = percentiles(row)
    said = [f"  {name} {units.latency(ns, state.ascii)}" for name, ns in marks.items()]
    top: Line = (Span(call_name(row), Style.TITLE), Span("".join(said)))
    return [top, *histogram_lines(histogram(row), width, marks, state.ascii, height - 1)]
