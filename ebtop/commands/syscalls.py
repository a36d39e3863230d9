# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the loop of `ebtop syscalls`: when a report is due, and what ends the counting.

What a report looks like is syscallreport.py's.
"""

from __future__ import annotations

import math
import time

from ebtop.commands.stream import open_session
from ebtop.commands.streamend import Waiting
from ebtop.commands.syscallreport import json_report, text_report
from ebtop.model.snapshot import Snapshot
from ebtop.options.options import Options
from ebtop.runtime.signals import Signals
from ebtop.runtime.stdio import OutputClosed, write_all
from ebtop.sources.bpf import Session
from ebtop.text import raw_bytes

_KEEP_UP_S = 1.0
"""Between reports the session is refreshed this often, so that exited processes are released."""


def run(options: Options, signals: Signals) -> None:
    """A report every so often, or one at the end."""
    with open_session(options, signals) as session:
        waiting = Waiting(session, options, signals)
        session.refresh(reset=True)
        try:
            if math.isinf(options.delay_s):
                _wait(session, waiting, signals, math.inf)
                _write(session.refresh(window="reset"), options)
            else:
                _every(session, waiting, signals, options)
        except OutputClosed:
            return


def _every(session: Session, waiting: Waiting, signals: Signals, options: Options) -> None:
    due = time.monotonic()
    written = 0
    while options.iterations is None or written < options.iterations:
        due = max(due + options.delay_s, time.monotonic())
        _wait(session, waiting, signals, due, refresh=False)
        if signals.stop_requested or waiting.reader_gone:
            return
        _write(session.refresh(), options)
        written += 1
        if waiting.over:
            return


def _wait(
    session: Session, waiting: Waiting, signals: Signals, until: float, refresh: bool = True
) -> None:
    """Waits until that time, a request to stop, or the exit of the selected processes."""
    while not signals.stop_requested and not waiting.over:
        left = until - time.monotonic()
        if left <= 0:
            return
        waiting.until(min(left, _KEEP_UP_S))
        if refresh:
            session.refresh()
        else:
            session.poll()


def _write(snapshot: Snapshot, options: Options) -> None:
    if options.json:
        report = json_report(snapshot, options.syscalls)
    else:
        report = text_report(snapshot, options.syscalls, options.ascii)
    write_all(raw_bytes(report))
