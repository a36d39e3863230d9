# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the loop of the commands that write events: from the buffer to lines, until told to end.

streamlines.py chooses the events, streamend.py detects the end, the session has the probes. The
kernel side never waits for the reader of the lines: while the reader is slow the buffer fills, and
events that do not fit are counted and reported. So are events that could not be written in time at
the end.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from typing import Optional

from ebtop.commands import kprobe
from ebtop.commands.kprobe import Target
from ebtop.commands.streamend import End, Waiting
from ebtop.commands.streamlines import Lines, Piece
from ebtop.control.choose import note, refusal
from ebtop.errors import EbtopError, PermissionDenied, Unsupported
from ebtop.model.snapshot import Stream
from ebtop.options import settable
from ebtop.options.options import Options
from ebtop.options.targets import kernel_filter
from ebtop.probes import BY_NAME, KFUNC, for_stream
from ebtop.runtime import privilege
from ebtop.runtime.signals import Signals
from ebtop.runtime.stdio import OutputClosed, Unread, say, write_all
from ebtop.sources.bpf import Session
from ebtop.sources.room import choose

_BUFFER_BYTES = 4 << 20
"""Of a stream that does not say: records are some 160 bytes, and come in bursts."""
UNWRITTEN = "unwritten"
"""The cause of losses at the end: read from the kernel, but there was no time to write them."""
_SETTLE_S, _PAUSE_S = 0.15, 0.01
"""After detaching, events in progress may still arrive, and the exit event of a process is delayed
until it has left its CPU."""


def run(options: Options, signals: Signals) -> None:
    """Until there are enough of them, the reader or the processes are gone, or a signal says so."""
    target = kprobe.choose(options) if options.command == "kprobe" else None
    with open_session(options, signals, target) as session:
        end = End(session, Waiting(session, options, signals), signals)
        lines = Lines(options, target)
        writer = Writer(lines)
        with contextlib.suppress(OutputClosed):
            while not lines.complete and not end.came:
                end.wait(options.delay_s)
                writer.write(session.stream(), end.is_late)
            if not lines.complete:
                write_tail(session, writer, end)


def open_session(options: Options, signals: Signals, target: Optional[Target] = None) -> Session:
    """The command's probes, and no more privileges than they need.

    Raises PermissionDenied or Unsupported when they cannot run here.
    """
    needed, helps = for_stream(options.command, options.kinds)
    try:
        with signals.at_once():
            session = Session(
                needed,
                events_bytes=options.buffer_bytes or _BUFFER_BYTES,
                filter=kernel_filter(options),
                accepts=settable.bits(options.command),
                debug=options.debug,
                hook=target.hook if target else None,
                transitions=options.command == "tcp",
                directories=options.full_path,
                allocations=options.command == "mem",
                slow=options.kinds,
                room=choose(light=not any(BY_NAME[name].has_tables for name in needed)),
                failed_execs=options.command == "exec",
            )
    except EbtopError as error:
        raise refusal(error) from error
    for probe in session.refresh().probes:
        if probe.name in needed and probe.name not in helps and probe.state != "on":
            session.close()
            if target and probe.name == KFUNC.name:
                raise kprobe.refusal(target, probe)
            kind = PermissionDenied if probe.state == "denied" else Unsupported
            raise refusal(kind(f"{probe.name}: {probe.reason}"))
    about = privilege.drop(bpf=True)
    if about:
        say(about)
    about = note(session)
    if about:
        say(about)
    return session


class Writer:
    """Writes the lines, and counts what it could not write."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.unwritten: Counter[str] = Counter()
        """Unwritten events by cause, since the stop or since the reader stalled."""

    def write(self, stream: Stream, stop: Callable[[], bool] = lambda: False) -> None:
        """Raises OutputClosed. After the reader has stalled, events are only counted."""
        for piece in self._lines.of(stream):
            if not self._lines.counts_only and stop():
                self._lines.counts_only = True
            if self._lines.counts_only:
                self._count(piece, 0)
                continue
            try:
                write_all(piece.data)
            except Unread as error:
                self._lines.counts_only = True
                self._count(piece, error.written)

    def _count(self, piece: Piece, written: int) -> None:
        self.unwritten.update(piece.lost)
        self.unwritten[UNWRITTEN] += piece.events - (piece.whole(written) if written else 0)

    def close(self) -> None:
        """Reports what was not written: as lines of the stream or, if nothing reads it, on standard
        error."""
        lost = {cause: count for cause, count in self.unwritten.items() if count}
        if not lost:
            return
        try:
            write_all(self._lines.lost(lost))
        except OutputClosed:
            say(f"{sum(lost.values())} events are not in the output: nobody read it")


def write_tail(session: Session, writer: Writer, end: End) -> None:
    """Writes the events left in the buffer within the time limit, and counts the rest."""
    while True:
        stream = session.stream()
        writer.write(stream, end.is_late)
        if len(stream.events):
            continue
        if not stream.more and end.since_s > _SETTLE_S:
            break
        time.sleep(_PAUSE_S)
    writer.close()
