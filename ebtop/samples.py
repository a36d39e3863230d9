# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what `--once`, `-b` and `--json` put together: source, command lines and one form of text.

The loop is sampling.py's, the forms are batch.py's, jsonlines.py's and views.frame's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from ebtop import privilege
from ebtop.arguments import MOST_SIDE
from ebtop.chosen import row_filter
from ebtop.cmdline import CommandLines
from ebtop.fullness import Warner
from ebtop.options import Options
from ebtop.output import locale_is_utf8, say, wants_color
from ebtop.probes import DEFAULT
from ebtop.refresh import Refresher
from ebtop.sampling import run
from ebtop.session import Session
from ebtop.signals import Signals
from ebtop.snapshot import Request, Snapshot
from ebtop.sources import Source
from ebtop.statedump import StateDump

if TYPE_CHECKING:
    from ebtop.viewstate import ViewState

_DEFAULT_SIZE = (120, 40)
Emit = Callable[[Snapshot], str]


def write_samples(source: Source, options: Options, signals: Signals) -> None:
    """Until there are enough of them, the reader has gone, or a signal says so."""
    lines = CommandLines()
    running = options.probes or DEFAULT
    refresher = Refresher(source, options.budget_percent, running, options.named)
    warner, state_dump = Warner(say), StateDump(options)
    signals.tell_state = state_dump.write
    refresher.tell(state_dump.remember)
    refresher.tell(lambda snapshot: warner.look(snapshot.tables))
    request = Request(
        threads=options.threads,
        cumulative=options.cumulative,
        functions=options.threads and options.command == "json",
    )

    def refresh() -> Snapshot:
        snapshot = refresher.refresh(request)
        refresher.steering.run_probes()
        return snapshot

    def drop_privileges() -> None:
        about = privilege.drop(isinstance(source, Session))
        if about:
            say(about)

    iterations = 1 if options.command == "once" else options.iterations
    emit = _EMITTERS[options.command](options, lines)
    run(source, options.delay_s, iterations, refresh, emit, signals, drop_privileges)


def _batch(options: Options, lines: CommandLines) -> Emit:
    from ebtop.batch import batch_text

    state = _state(options)

    def emit(snapshot: Snapshot) -> str:
        lines.read(snapshot)
        return batch_text(snapshot, state, lines.lines, options.limit)

    return emit


def _json(options: Options, lines: CommandLines) -> Emit:
    from ebtop.cgroups import CgroupPaths
    from ebtop.columns import by_name
    from ebtop.jsonlines import sample_line
    from ebtop.model import RowQuery

    cgroups = CgroupPaths()
    query = RowQuery(
        by_name(options.sort), options.ascending, row_filter(options), threads=options.threads
    )

    def emit(snapshot: Snapshot) -> str:
        lines.read(snapshot)
        return sample_line(snapshot, query, lines.lines, options.limit, cgroups)

    return emit


def _once(options: Options, lines: CommandLines) -> Emit:
    from ebtop.eventlog import EventLog
    from ebtop.views.frame import frame_text, render

    state, log = _state(options), EventLog()
    width, height = options.size or _terminal_size()

    def emit(snapshot: Snapshot) -> str:
        log.absorb(snapshot)
        lines.read(snapshot)
        frame = render(snapshot, state, width, height, log.lines, log.totals, lines.lines)
        return frame_text(frame)

    return emit


def _state(options: Options) -> ViewState:
    from ebtop.viewstate import initial_state

    return initial_state(options, not locale_is_utf8(), wants_color(options.color))


def _terminal_size() -> tuple[int, int]:
    try:
        size = os.get_terminal_size(1)
    except OSError:
        return _DEFAULT_SIZE
    if not size.columns or not size.lines:
        return _DEFAULT_SIZE
    return min(size.columns, MOST_SIDE), min(size.lines, MOST_SIDE)


_EMITTERS: dict[str, Callable[[Options, CommandLines], Emit]] = {
    "once": _once,
    "batch": _batch,
    "json": _json,
}
