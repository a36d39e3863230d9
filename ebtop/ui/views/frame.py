# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the frame: how the panels share the screen, from a Snapshot and a ViewState alone.

What is inside a panel belongs to the view of that name. Nothing here touches a terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Optional

from ebtop.model.connection_table import owners_of_port
from ebtop.model.eventlog import EventLine, EventTotals
from ebtop.model.filters import port_of
from ebtop.model.process_table import Cmdlines, Context, by_name
from ebtop.model.rows import order_rows
from ebtop.model.snapshot import Snapshot
from ebtop.probes import MEMORY, PORT, SWITCHABLE, TIME, for_logs, for_sights
from ebtop.ui.state import DISKS, EVENTS, PROCESSES, SYSCALLS, ViewState
from ebtop.ui.views.connections import connections_panel
from ebtop.ui.views.disks import disks_panel
from ebtop.ui.views.events import events_panel
from ebtop.ui.views.header import header
from ebtop.ui.views.help import help_lines
from ebtop.ui.views.line import Line, Style, fit_line, line, line_text
from ebtop.ui.views.memory import memory_detail
from ebtop.ui.views.panels import lower_panel
from ebtop.ui.views.probes import probes_menu
from ebtop.ui.views.process_detail import process_detail
from ebtop.ui.views.scroll import place
from ebtop.ui.views.status import footer, status_line
from ebtop.ui.views.syscalls import syscalls_panel
from ebtop.ui.views.table import heading, row_line, shown_columns

MIN_WIDTH, MIN_HEIGHT = 40, 10
_LEAST_TABLE = 8
_NO_TOTALS = EventTotals()


@dataclass(frozen=True)
class Frame:
    """A whole screen. `lines` are exactly as many as the height, each exactly the width."""

    lines: tuple[Line, ...]
    cursor_row: Optional[int]
    """The line of the selected row, or of the prompt when one is open."""
    state: ViewState
    """The state with wishes carried out and selection and scrolling corrected."""
    visible: tuple[tuple[int, int], ...] = ()
    """(pid, start_ns) of the processes shown, whose command lines should be read."""
    probes: frozenset[str] = frozenset()
    """The on-demand probes that the visible parts need."""
    looked_at: int = 0
    """The selected process, whose waits are counted by stack and bytes by file; 0: none."""


class _Shares(NamedTuple):
    """How many lines each part gets; 0 leaves it out."""

    header: int
    table: int
    panel: int


def render(
    snapshot: Snapshot,
    state: ViewState,
    width: int,
    height: int,
    log: Sequence[EventLine] = (),
    totals: EventTotals = _NO_TOTALS,
    cmdlines: Optional[Cmdlines] = None,
) -> Frame:
    """The frame of this size; pure: the same arguments give the same frame."""
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return _too_small(state, width, height)
    top = header(snapshot, state, width, 1 if state.zoom else _header_lines(height))
    shares = _share(state, height, len(top))
    cursor_row: Optional[int] = None
    visible: tuple[tuple[int, int], ...] = ()
    if state.help_open:
        body, state = help_lines(snapshot, state, shares.table + shares.panel)
    elif state.probes_open:
        body = probes_menu(snapshot, state, shares.table + shares.panel)
    elif state.looked_at is not None:
        context = Context.of(snapshot, cmdlines, state.ascii)
        look = memory_detail if state.looked_at_memory else process_detail
        body = look(snapshot, state, context, shares.table + shares.panel, width)
        visible = (state.looked_at,)
        state = replace(state, move=0, move_pages=0, search_step=0)
    else:
        body = []
        if shares.table:
            context = Context.of(snapshot, cmdlines, state.ascii)
            body, state, visible, at = _table(context, state, width, shares.table)
            cursor_row = None if at is None else len(top) + at
        if shares.panel:
            body += [()] * (shares.table - len(body))
            below, state = _panel(snapshot, state, shares.panel, width, log, totals)
            body += below[: shares.panel]
    body += [()] * (shares.table + shares.panel - len(body))
    lines = [*top, *body, status_line(snapshot, state, width), footer(width)]
    if state.prompt is not None:
        cursor_row = height - 2
    fitted = [fit_line(spans, width) for spans in lines[:-1]]
    fitted.append(fit_line(lines[-1], width, Style.KEY_LABEL))
    looked_at = 0 if state.looked_at is None else state.looked_at[0]
    needed = _needs(state, shares, width, snapshot)
    return Frame(tuple(fitted), cursor_row, state, visible, needed, looked_at)


def _panel(
    snapshot: Snapshot,
    state: ViewState,
    height: int,
    width: int,
    log: Sequence[EventLine],
    totals: EventTotals,
) -> tuple[list[Line], ViewState]:
    which = lower_panel(state)
    if which == SYSCALLS:
        return syscalls_panel(snapshot, state, height, width)
    if which == EVENTS:
        return events_panel(snapshot, state, height, log, totals)
    if which == DISKS:
        return disks_panel(snapshot, state, height, width)
    return connections_panel(snapshot, state, height, width)


def _needs(state: ViewState, shares: _Shares, width: int, snapshot: Snapshot) -> frozenset[str]:
    """Parts covered by the help or the menu keep their probes: both are open only briefly."""
    panel, sights = 0, []
    if state.looked_at is not None:
        sights.append(MEMORY if state.looked_at_memory else TIME)
    elif shares.panel:
        panel = lower_panel(state)
    if state.filter.port is not None or port_of(state.search) is not None:
        sights.append(PORT)
    needed = set(for_sights(panel, sights))
    if panel == EVENTS:
        needed |= for_logs(state.probes_off)
    if shares.table:
        columns = shown_columns(state, width, snapshot)
        needed |= {column.probe for column in (*columns, by_name(state.sort))}
    return frozenset(needed.intersection(SWITCHABLE) - state.probes_off)


def _header_lines(height: int) -> int:
    if height < 16:
        return 3
    return 8 if height < 40 else 12


def _share(state: ViewState, height: int, header_lines: int) -> _Shares:
    body = height - header_lines - 2
    if state.focus == PROCESSES and (state.zoom or body < _LEAST_TABLE + 4):
        return _Shares(header_lines, body, 0)
    if state.focus != PROCESSES and (state.zoom or body < _LEAST_TABLE + 4):
        return _Shares(header_lines, 0, body)
    part = body // 2 if state.focus != PROCESSES else body // 4
    below = max(4, min(part, 12 if state.focus == PROCESSES else body - _LEAST_TABLE))
    return _Shares(header_lines, body - below, below)


def _table(
    context: Context, state: ViewState, width: int, height: int
) -> tuple[list[Line], ViewState, tuple[tuple[int, int], ...], Optional[int]]:
    """The lines of the process table, its heading first; and which line is selected."""
    order = order_rows(state.query, context)
    port = port_of(state.search)
    owners = None if port is None else owners_of_port(context.snapshot.connections, port)
    state = place(order, state, height - 1, owners)
    columns = shown_columns(state, width, context.snapshot)
    lines: list[Line] = [fit_line(heading(columns, state), width, Style.COLUMN_HEADER)]
    visible = []
    for index in order.window(state.scroll, height - 1):
        row = order.table.row(index)
        if row["tid"] == row["pid"]:
            visible.append((row["pid"], row["start_ns"]))
        branch = order.branches.get(index, "")
        lines.append(row_line(row, columns, context, state, width, branch))
    if len(lines) == 1:
        text = "  no process matches the filter" if state.filter else "  no processes"
        lines.append(line(text, Style.DIM))
    at = None if state.selected is None else 1 + state.cursor - state.scroll
    return lines, state, tuple(visible), at


def _too_small(state: ViewState, width: int, height: int) -> Frame:
    texts = ["terminal too small", f"it is {width}x{height}", f"least {MIN_WIDTH}x{MIN_HEIGHT}"]
    if width < 20:
        texts = ["too small", f"{width}x{height}", f"<{MIN_WIDTH}x{MIN_HEIGHT}"]
    lines = [line(text, Style.WARNING) for text in texts[: max(height, 0)]]
    lines += [()] * (max(height, 0) - len(lines))
    wishless = replace(state, move=0, move_pages=0, search_step=0)
    fitted = tuple(fit_line(spans, max(width, 0)) for spans in lines)
    return Frame(fitted, None, wishless, probes=for_sights(0, ()) - state.probes_off)


def frame_text(frame: Frame) -> str:
    """The frame as plain text: trailing blanks are cut, every line ends in a newline."""
    return "".join(line_text(spans).rstrip() + "\n" for spans in frame.lines)
