# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the panel of connections: those that are open, and those that ended in the last 30 seconds.

What a connection is called and in which order they stand is `model/connection_table.py`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ebtop import units
from ebtop.model.connection_table import (
    ADDRESS_LEAST,
    ADDRESS_MOST,
    BY_NAME,
    CLOSE,
    LISTEN,
    ConnectionColumn,
    close_reason,
    drops,
    fitting,
    is_closed,
    order,
    place,
    state_name,
)
from ebtop.model.layout import CONN_CLOSED, Table
from ebtop.model.process_table import Row
from ebtop.model.snapshot import Listening, Snapshot
from ebtop.probes import TCP
from ebtop.text import cells, cut, fit
from ebtop.ui.state import CONNECTIONS, ViewState
from ebtop.ui.views.line import Line, Span, Style, fit_line
from ebtop.ui.views.missing import why_missing
from ebtop.ui.views.panels import title

_STYLES = {
    "ESTABLISHED": Style.GOOD,
    "LISTEN": Style.NORMAL,
    "SYN_SENT": Style.NOTICE,
    "SYN_RECV": Style.NOTICE,
}
_ADDRESSES = ("local", "remote")


def connections_panel(
    snapshot: Snapshot, state: ViewState, height: int, width: int
) -> tuple[list[Line], ViewState]:
    """The panel in `height` lines, its title first, and the state with its wishes done."""
    table = snapshot.connections
    if table is None:
        why = why_missing(TCP, snapshot, state) or "watching from now on"
        top = [title(CONNECTIONS, state), (Span("  " + why, Style.DIM),)]
        return top[:height], _still(state)
    ordered = order(snapshot, state.connection_sort, state.connection_reverse, state.filter)
    first = (*title(CONNECTIONS, state), *_summary(snapshot, table, state, len(ordered)))
    if not ordered:
        text = "  no connection matches the filter" if state.filter else "  no connections"
        return [first, (Span(text, Style.DIM),)][:height], _still(state)
    rows = height - 2
    state = _moved(table, ordered, state, rows)
    columns = fitting(width - 1)
    widths = _widths(columns, width - 1)
    lines: list[Line] = [first, fit_line(_heading(columns, widths, state), width,
                                         Style.COLUMN_HEADER)]  # fmt: skip
    at = state.connection_scroll
    for index in ordered[at : at + max(0, rows)]:
        lines.append(_line(table.row(index), columns, widths, snapshot.taken_ns, state))
    return lines[:height], state


def _still(state: ViewState) -> ViewState:
    return replace(state, move=0, move_pages=0) if state.focus == CONNECTIONS else state


def _summary(snapshot: Snapshot, table: Table, state: ViewState, shown: int) -> Line:
    """How many there are of which kind, how they are sorted."""
    states, flags = table.column("state"), table.column("flags")
    closed = sum(1 for flag in flags if flag & CONN_CLOSED)
    listening = states.count(LISTEN)
    spans = [
        Span("  open ", Style.LABEL),
        Span(units.count(len(table) - closed - listening)),
        Span("  listening ", Style.LABEL),
        Span(units.count(listening)),
        *_thrown_away(snapshot.system.listening),
        Span("  closed lately ", Style.LABEL),
        Span(units.count(closed)),
    ]
    first = ", smallest first" if state.connection_reverse else ""
    spans.append(Span(f"  by {BY_NAME[state.connection_sort].phrase}{first}"))
    if state.filter:
        spans.append(Span(f"  {units.count(shown)} match", Style.NOTICE))
    return (*spans, Span("  a: names of ports", Style.DIM))


def _thrown_away(listening: Listening) -> Line:
    """Connections dropped by listening sockets in the interval; empty if there were none."""
    if not listening.drops and not listening.overflows:
        return ()
    full = f" ({units.count(listening.overflows)} full)" if listening.overflows else ""
    return (Span(f" dropped {units.count(listening.drops or 0)}{full}", Style.BAD),)


def _identity(row: Row) -> tuple[int, int]:
    return (row["socket"], row["start_ns"])


def _moved(table: Table, ordered: Sequence[int], state: ViewState, rows: int) -> ViewState:
    """The state with movement done and the selected row in sight."""
    at = None
    if state.connection_selected is not None:
        sockets, starts = table.column("socket"), table.column("start_ns")
        at = next(
            (
                position
                for position, index in enumerate(ordered)
                if (sockets[index], starts[index]) == state.connection_selected
            ),
            min(state.connection_scroll, len(ordered) - 1),
        )
    if state.focus == CONNECTIONS:
        step = state.move + state.move_pages * max(1, rows - 1)
        state = replace(state, move=0, move_pages=0)
        if step:  # the first press selects what is in sight already
            start = state.connection_scroll - (step > 0) if at is None else at
            at = max(0, min(start + step, len(ordered) - 1))
    scroll = state.connection_scroll
    if at is not None:
        scroll = min(max(scroll, at - rows + 1), at)
    scroll = max(0, min(scroll, len(ordered) - rows))
    chosen = None if at is None else _identity(table.row(ordered[at]))
    return replace(state, connection_scroll=scroll, connection_selected=chosen)


def _widths(columns: Sequence[ConnectionColumn], width: int) -> dict[str, int]:
    """Addresses share what the others leave."""
    fixed = sum(column.width + 1 for column in columns if column.name not in _ADDRESSES)
    room = (width - fixed) // 2 - 1
    each = max(min(room, ADDRESS_MOST), min(ADDRESS_LEAST, max(room, 8)))
    return {c.name: each if c.name in _ADDRESSES else c.width for c in columns}


def _heading(columns: Sequence[ConnectionColumn], widths: dict[str, int], state: ViewState) -> Line:
    """As over the processes: `v` or `^` and a colour mark the column that sorts."""
    spans = [Span(" ")]
    for column in columns:
        is_sorted = column.name == state.connection_sort
        mark = ("^" if state.connection_reverse else "v") if is_sorted else " "
        size = widths[column.name] + 1
        text = mark + column.title
        text = text.ljust(size) if column.text else text.rjust(size)
        style = Style.COLUMN_HEADER_SORTED if is_sorted else Style.COLUMN_HEADER
        spans.append(Span(text, style))
    return tuple(spans)


def _line(
    row: Row,
    columns: Sequence[ConnectionColumn],
    widths: dict[str, int],
    now_ns: int,
    state: ViewState,
) -> Line:
    is_chosen = _identity(row) == state.connection_selected
    base = Style.SELECTED if is_chosen else Style.EXITED if is_closed(row) else Style.NORMAL
    spans = [Span(">" if is_chosen else " ", base)]
    for column in columns:
        if column.name in _ADDRESSES:
            end = "saddr" if column.name == "local" else "daddr"
            text = place(row, end, state.port_names)
        else:
            text = column.show(row, now_ns, state.ascii)
        size = widths[column.name]
        if cells(text) > size:
            text = cut(text, size - 1) + "+"
        text = fit(text, size) if column.text else text.rjust(size)
        own = base
        if column.name == "state" and not is_chosen:
            own = _style(row)
        elif column.name == "retx" and row["retransmits"] and not is_chosen:
            own = Style.WARNING
        spans.append(Span(" " + text, own))
    return tuple(spans)


def _style(row: Row) -> Style:
    """Green: established; yellow: on its way to the end; red: cut off or never come about."""
    if is_closed(row):
        return Style.BAD if close_reason(row) not in ("fin", None) else Style.EXITED
    if drops(row):
        return Style.WARNING
    if row["state"] == CLOSE:
        return Style.DIM
    return _STYLES.get(state_name(row["state"]), Style.WARNING)
