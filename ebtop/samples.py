# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what `--once`, `-b` and `--json` put together: source, command lines and one form of text.

The loop is sampling.py's, the forms are batch.py's, jsonlines.py's and views.frame's.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from ebtop import privilege
from ebtop.arguments import MOST_SIDE
from ebtop.budget import SAMPLED, Budget
from ebtop.cmdline import CommandLines
from ebtop.fullness import Warner
from ebtop.memorylimits import Limits
from ebtop.memorywatch import MemoryWatch
from ebtop.options import Options
from ebtop.output import say
from ebtop.probes import DEFAULT
from ebtop.sampling import run
from ebtop.session import Session
from ebtop.signals import Signals
from ebtop.snapshot import Snapshot
from ebtop.sources import Source
from ebtop.statedump import StateDump
from ebtop.steering import Steering
from ebtop.viewstate import ViewState

_DEFAULT_SIZE = (120, 40)
Emit = Callable[[Snapshot], str]


def write_samples(source: Source, options: Options, state: ViewState, signals: Signals) -> None:
    """Until there are enough of them, the reader has gone, or a signal says so."""
    lines = CommandLines()
    running = options.probes or DEFAULT
    steering = Steering(source, Budget(options.budget_percent, SAMPLED), running, options.named)

    memory = MemoryWatch(Limits().room)
    warner = Warner(say)

    state_dump = StateDump(options)
    signals.tell_state = state_dump.write

    def refresh() -> Snapshot:
        snapshot = steering.weigh(
            source.refresh(
                threads=options.threads,
                cost=True,
                cumulative=options.cumulative,
                functions=options.threads and options.command == "json",
                every=steering.every,
            )
        )
        state_dump.remember(snapshot)
        steering.run_probes()
        warner.look(snapshot.tables)
        return memory.watch(snapshot)

    def drop_privileges() -> None:
        about = privilege.drop(isinstance(source, Session))
        if about:
            say(about)

    iterations = 1 if options.command == "once" else options.iterations
    emit = _EMITTERS[options.command](options, state, lines)
    run(source, options.delay_s, iterations, refresh, emit, signals, drop_privileges)


def _batch(options: Options, state: ViewState, lines: CommandLines) -> Emit:
    from ebtop.batch import batch_text

    def emit(snapshot: Snapshot) -> str:
        lines.read(snapshot)
        return batch_text(snapshot, state, lines.lines, options.limit)

    return emit


def _json(options: Options, state: ViewState, lines: CommandLines) -> Emit:
    from ebtop.cgroups import CgroupPaths
    from ebtop.jsonlines import sample_line

    cgroups = CgroupPaths()

    def emit(snapshot: Snapshot) -> str:
        lines.read(snapshot)
        return sample_line(snapshot, state, lines.lines, options.limit, cgroups)

    return emit


def _once(options: Options, state: ViewState, lines: CommandLines) -> Emit:
    from ebtop.eventlog import EventLog
    from ebtop.views.frame import frame_text, render

    log = EventLog()
    width, height = options.size or _terminal_size()

    def emit(snapshot: Snapshot) -> str:
        log.absorb(snapshot)
        lines.read(snapshot)
        frame = render(snapshot, state, width, height, log.lines, log.totals, lines.lines)
        return frame_text(frame)

    return emit


def _terminal_size() -> tuple[int, int]:
    try:
        size = os.get_terminal_size(1)
    except OSError:
        return _DEFAULT_SIZE
    if not size.columns or not size.lines:
        return _DEFAULT_SIZE
    return min(size.columns, MOST_SIDE), min(size.lines, MOST_SIDE)


_EMITTERS: dict[str, Callable[[Options, ViewState, CommandLines], Emit]] = {
    "once": _once,
    "batch": _batch,
    "json": _json,
}
