# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns batch mode's text: one sample as a few lines on the machine and a table of processes.

It is for people and simple scripts: columns are apart by blanks, lines are as long as they get, a
name can neither break a line nor reach the terminal raw. `outputs/sample_json.py` is for programs.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Optional

from ebtop.model.process_table import SETS, Cmdlines, Context, as_in
from ebtop.model.rows import order_rows
from ebtop.model.snapshot import Snapshot
from ebtop.ui.state import ViewState
from ebtop.ui.views.header import header
from ebtop.ui.views.line import line_text
from ebtop.ui.views.status import status_line
from ebtop.ui.views.table import heading, numbers

_WIDTH = 120
_HEADER_LINES = 6


def batch_text(
    snapshot: Snapshot,
    state: ViewState,
    cmdlines: Optional[Cmdlines] = None,
    limit: Optional[int] = None,
) -> str:
    """One sample, an empty line at its end; `limit` rows at most."""
    context = Context.of(snapshot, cmdlines, state.ascii)
    order = order_rows(state.query, context)
    columns = as_in(SETS[state.column_set % len(SETS)], snapshot)
    when = datetime.fromtimestamp(snapshot.time, timezone.utc)
    lines = [f"time {when:%Y-%m-%dT%H:%M:%S.%fZ}  interval {snapshot.interval_s:.3f}s"]
    lines += (line_text(spans) for spans in header(snapshot, state, _WIDTH, _HEADER_LINES))
    lines += ["", line_text(heading(columns, replace(state, sort="")))]  # bare titles
    for index in order.window(0, len(order) if limit is None else limit):
        row = order.table.row(index)
        branch = order.branches.get(index, "")
        last = columns[-1].show(row, context)
        lines.append(f" {numbers(row, columns, context)} {branch}{last}")
    lines += [line_text(status_line(snapshot, state, _WIDTH)), ""]
    return "".join(text.rstrip() + "\n" for text in lines)
