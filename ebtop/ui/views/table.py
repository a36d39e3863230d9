# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns how the process table looks: its heading, one line a row, and the mark of a row.

Which rows those are is `model/rows.py`'s and `scroll.py`'s. A line is one string and one span: on a
screen of fifty rows that is most of what a frame costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ebtop.model.layout import DISK_SLOW, EXITED
from ebtop.model.process_table import SETS, Column, Context, Row, as_in, fitting
from ebtop.model.rows import Identity
from ebtop.model.snapshot import Snapshot
from ebtop.model.waitreasons import LETTERS, REASONS
from ebtop.text import cells, cut, fit, shifted
from ebtop.ui.state import ViewState
from ebtop.ui.views.line import Line, Span, Style

MARK_CELLS = 1


def shown_columns(state: ViewState, width: int, snapshot: Snapshot) -> tuple[Column, ...]:
    """The columns of the chosen set that this width has room for."""
    chosen = as_in(SETS[state.column_set % len(SETS)], snapshot)
    return fitting(chosen, width - MARK_CELLS)


def heading(columns: Sequence[Column], state: ViewState) -> Line:
    """The titles; the sorted one carries `v` (largest first) or `^` as well as a colour."""
    spans = []
    arrow = "^" if state.reverse else "v"
    for column in columns:
        is_sorted = column.name == state.sort
        title = (arrow if is_sorted else " ") + column.heading(state.ascii)
        width = column.width + 1
        text = title.ljust(width) if column.text else title.rjust(width)
        spans.append(Span(text, _HEADING[is_sorted]))
    return tuple(spans)


_HEADING = (Style.COLUMN_HEADER, Style.COLUMN_HEADER_SORTED)


def row_line(
    row: Row,
    columns: Sequence[Column],
    context: Context,
    state: ViewState,
    width: int,
    branch: str = "",
) -> Line:
    """One row, exactly `width` cells. Numbers are never cut; what is cut is the command."""
    identity = (row["pid"], row["start_ns"], row["tid"])
    mark, style = row_mark(identity, row, state)
    last = columns[-1].show(row, context)
    if state.shift:
        last = shifted(last, state.shift)
    text = fit(f"{mark}{numbers(row, columns, context)} {branch}{last}", width)
    if style is Style.NORMAL:
        return _with_colours(text, columns, row)
    return (Span(text, style),)


def _with_colours(text: str, columns: Sequence[Column], row: Row) -> Line:
    """Highlights in a row: the reasons of its waits, and slow disk requests."""
    spans: list[Span] = []
    start, done = MARK_CELLS, 0
    for column in columns[:-1]:
        end = start + column.width
        spike = column.name == "iolat" and row["flags"] & DISK_SLOW
        # a name of wide characters before it leaves the line as it is
        if (spike or column.name == "wait") and cells(text[:start]) == start:
            part = text[start:end]
            spans.append(Span(text[done:start]))
            spans += (Span(part, Style.WARNING),) if spike else wait_spans(part)
            done = end
        start = end + 1
    return (*spans, Span(text[done:]))


def wait_spans(bar: str) -> list[Span]:
    """A bar of reasons, each in its colour; the letters say the same."""
    parts = groupby(bar, lambda sign: WAIT_STYLES.get(sign, Style.NORMAL))
    return [Span("".join(signs), style) for style, signs in parts]


WAIT_STYLES = {
    LETTERS[reason]: Style[f"WAIT_{reason.upper()}"] for reason in REASONS if reason != "other"
}


def numbers(row: Row, columns: Sequence[Column], context: Context) -> str:
    """All columns but the last, side by side."""
    parts = []
    for column in columns[:-1]:
        text = column.show(row, context)
        if column.text:
            parts.append(_column_text(text, column.width))
        else:
            parts.append(text.rjust(column.width))
    return " ".join(parts)


def _column_text(text: str, width: int) -> str:
    if cells(text) > width:
        text = cut(text, width - 1) + "+"
    return fit(text, width)


def row_mark(identity: Identity, row: Row, state: ViewState) -> tuple[str, Style]:
    """`>` selected, `*` tagged, `+` both: the mark says it where there are no colours."""
    selected, tagged = identity == state.selected, identity in state.tagged
    if selected:
        return ("+" if tagged else ">"), Style.SELECTED
    if tagged:
        return "*", Style.TAGGED
    return " ", Style.EXITED if row["flags"] & EXITED else Style.NORMAL
