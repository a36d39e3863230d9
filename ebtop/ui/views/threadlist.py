# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the list of the current activity of the selected process's threads, the longest waits
first."""

from __future__ import annotations

from collections.abc import Iterator

from ebtop import units
from ebtop.model.callnow import call_now, call_now_ns
from ebtop.model.process_table import Row, state_letter
from ebtop.model.snapshot import Snapshot
from ebtop.text import displayable, fit
from ebtop.ui.state import ViewState
from ebtop.ui.views.line import Line, Span, Style, line
from ebtop.units import UNKNOWN

_CALL, _FUNCTION = 16, 28


def threads_now(snapshot: Snapshot, state: ViewState, pid: int, width: int) -> Iterator[Line]:
    """Two lines of heading, then a line a thread."""
    yield (Span("Threads now, in which call, since when, in which function", Style.TITLE),)
    rows = [row for row in snapshot.threads.rows() if row["pid"] == pid]
    if not rows:
        text = "not known by this source" if snapshot.source == "proc" else "looking from now on"
        yield line("  " + text, Style.DIM)
        return
    heading = f"{'TID':>8} S {'SINCE':>6} {'CALL':<{_CALL}} {'FUNCTION':<{_FUNCTION}} NAME"
    yield (Span(fit(heading, width), Style.COLUMN_HEADER),)
    rows.sort(key=lambda row: (-(call_now_ns(row, snapshot) or 0), row["tid"]))
    for row in rows:
        yield line(_thread(row, snapshot, state))


def _thread(row: Row, snapshot: Snapshot, state: ViewState) -> str:
    ns = call_now_ns(row, snapshot)
    since = UNKNOWN if ns is None else units.duration(ns)
    function = snapshot.symbols.get(row["function"])
    where = displayable(function, state.ascii) if function else UNKNOWN
    letter = state_letter(row) or UNKNOWN
    name = displayable(row["comm"], state.ascii)
    call = call_now(row) or UNKNOWN
    return f"{row['tid']:>8} {letter} {since:>6} {fit(call, _CALL)} {fit(where, _FUNCTION)} {name}"
