# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what `--once`, `-b` and `--json` put together: source, command lines and one form of text.

The loop is sampling.py's, the forms are ui/stills.py's and outputs/sample_json.py's.
"""

from __future__ import annotations

from collections.abc import Callable

from ebtop.commands.sampling import run
from ebtop.control.choose import Source
from ebtop.control.refresh import Refresher
from ebtop.model.fullness import Warner
from ebtop.model.snapshot import Request, Snapshot
from ebtop.options.options import Options
from ebtop.options.targets import row_filter
from ebtop.outputs.statedump import StateDump
from ebtop.probes import DEFAULT
from ebtop.runtime import privilege
from ebtop.runtime.signals import Signals
from ebtop.runtime.stdio import say
from ebtop.sources.bpf import Session
from ebtop.sources.cmdline import CommandLines

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
        refresher.probe_control.run_probes()
        return snapshot

    def drop_privileges() -> None:
        about = privilege.drop(isinstance(source, Session))
        if about:
            say(about)

    iterations = 1 if options.command == "once" else options.iterations
    emit = (_json if options.command == "json" else _pictures)(options, lines)
    run(source, options.delay_s, iterations, refresh, emit, signals, drop_privileges)


def _json(options: Options, lines: CommandLines) -> Emit:
    from ebtop.model.process_table import by_name
    from ebtop.model.rows import RowQuery
    from ebtop.outputs.sample_json import sample_line
    from ebtop.sources.cgroups import CgroupPaths

    cgroups = CgroupPaths()
    query = RowQuery(
        by_name(options.sort), options.ascending, row_filter(options), threads=options.threads
    )

    def emit(snapshot: Snapshot) -> str:
        lines.read(snapshot)
        return sample_line(snapshot, query, lines.lines, options.limit, cgroups)

    return emit


def _pictures(options: Options, lines: CommandLines) -> Emit:
    from ebtop.ui import stills

    return (stills.once if options.command == "once" else stills.batch)(options, lines)
