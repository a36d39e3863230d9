# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what `--once`, `-b` and `--json` put together: source, command lines and one form of text.

The loop is sampling.py's, the forms are stills.py's and jsonlines.py's.
"""

from __future__ import annotations

from collections.abc import Callable

from ebtop import privilege
from ebtop.chosen import row_filter
from ebtop.cmdline import CommandLines
from ebtop.fullness import Warner
from ebtop.options import Options
from ebtop.output import say
from ebtop.probes import DEFAULT
from ebtop.refresh import Refresher
from ebtop.sampling import run
from ebtop.session import Session
from ebtop.signals import Signals
from ebtop.snapshot import Request, Snapshot
from ebtop.sources import Source
from ebtop.statedump import StateDump

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
    emit = (_json if options.command == "json" else _pictures)(options, lines)
    run(source, options.delay_s, iterations, refresh, emit, signals, drop_privileges)


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


def _pictures(options: Options, lines: CommandLines) -> Emit:
    from ebtop import stills

    return (stills.once if options.command == "once" else stills.batch)(options, lines)
