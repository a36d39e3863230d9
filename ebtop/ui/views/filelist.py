# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the list of files that the selected process read or wrote, busiest first."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter

from ebtop import units
from ebtop.model.process_table import Row
from ebtop.model.snapshot import Snapshot
from ebtop.probes import VFS
from ebtop.text import displayable, fit
from ebtop.ui.state import ViewState
from ebtop.ui.views.line import Line, Span, Style, line
from ebtop.ui.views.missing import why_missing
from ebtop.units import UNKNOWN


def top_files(snapshot: Snapshot, state: ViewState, width: int) -> Iterator[Line]:
    """Two lines of heading, then a line a file."""
    yield (Span("Files read and written by system calls since then", Style.TITLE),)
    if snapshot.files is None:
        yield line("  " + (why_missing(VFS, snapshot, state) or "counting from now on"), Style.DIM)
        return
    heading = f"{'READ':>7} {'CALLS':>6} {'WRITTEN':>7} {'CALLS':>6} FILE"
    yield (Span(fit(heading, width), Style.COLUMN_HEADER),)
    rows = list(snapshot.files.rows())
    rows.sort(key=itemgetter("path"))
    rows.sort(key=lambda row: int(row["read_bytes"] + row["write_bytes"]), reverse=True)
    for row in rows:
        yield line(_file(row, state))
    if not rows:
        yield line("  none yet", Style.DIM)


def _file(row: Row, state: ViewState) -> str:
    reads = f"{units.size(row['read_bytes']):>7} {units.count(row['reads']):>6}"
    writes = f"{units.size(row['write_bytes']):>7} {units.count(row['writes']):>6}"
    return f"{reads} {writes} {displayable(row['path'], state.ascii) or UNKNOWN}"
