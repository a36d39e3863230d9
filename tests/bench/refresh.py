# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Measures one refresh from inside: the collector's call, the Python around it, the frame.

Nothing happens on the machine between two of them, as in a dashboard at rest.
"""

from __future__ import annotations

import time

from machine import processes
from report import Report, median
from viewer import SIZE

from ebtop.model.snapshot import Snapshot
from ebtop.sources.bpf import Session
from ebtop.ui.state import ViewState
from ebtop.ui.views.frame import render

REPEATS = 20
PAUSE_S = 0.1


def run(report: Report) -> None:
    report.heading(f"One refresh, inside: medians of {REPEATS}, ms")
    rows = []
    for total in (100, 10_000):
        with processes(total) as count, Session() as session:
            rows.append((str(count), *_measure(session)))
    titles = ("processes", "collector", "refresh(), CPU", "longest", "frame, CPU")
    report.table(titles, rows)


def _measure(session: Session) -> tuple[str, ...]:
    state = ViewState()
    in_c, refreshes, frames = [], [], []
    for repeat in range(REPEATS + 2):
        began = time.thread_time_ns()
        snapshot: Snapshot = session.refresh(cost=True)
        refreshed = time.thread_time_ns()
        state = render(snapshot, state, *SIZE).state
        ended = time.thread_time_ns()
        if repeat >= 2:  # the first passes over all tasks
            in_c.append(session._ret.took_ns / 1e6)  # nobody but this bench asks for it
            refreshes.append((refreshed - began) / 1e6)
            frames.append((ended - refreshed) / 1e6)
        del snapshot
        time.sleep(PAUSE_S)
    return (
        f"{median(in_c):.2f}",
        f"{median(refreshes):.2f}",
        f"{max(refreshes):.2f}",
        f"{median(frames):.2f}",
    )
