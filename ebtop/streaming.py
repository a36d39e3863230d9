# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the loop of the commands that write events: from the buffer to lines, until told to end.

How a line looks is eventlines.py's, which probes there are is the session's. The kernel side never
waits for the reader of the lines: while it does not read, the buffer fills, and what finds no room
is counted and said.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from typing import Any, Optional

from ebtop import functions, host, privilege
from ebtop.calllines import CallLines
from ebtop.chosen import kernel_filter, uid_of
from ebtop.errors import EbtopError, PermissionDenied, Unsupported
from ebtop.eventlines import json_event, json_lost, text_event, text_lost
from ebtop.functions import Target
from ebtop.layout import EVENT_TYPES
from ebtop.options import Options
from ebtop.output import OutputClosed, say, write_all
from ebtop.sampling import Ending
from ebtop.session import PlainLines, Session
from ebtop.snapshot import Stream
from ebtop.sources import note, refusal
from ebtop.text import raw_bytes

PROBES = {"exec": ("sched", "life"), "open": ("sched", "open"), "syscalls": ("sched", "syscall"),
          "kprobe": ("sched", "kfunc"), "tcp": ("sched", "tcp"),
          "mem": ("sched", "mem")}  # fmt: skip
"""By command: what has to run for it. All but the first must."""
KINDS = {"exec": ("exec", "exit"), "open": ("open",), "kprobe": ("kprobe",),
         "tcp": ("tcp",), "mem": ("mem",)}  # fmt: skip
"""By command: the events that get a line."""
_LOST = ("ring_buffer", "event_rows")
_LASTS_S = 3.0
_HELD_S = 0.1
_ADVICE = (
    "events are lost because they come faster than they are read; fewer come with a filter"
    " (-p, -u), and more fit with a larger --buffer-size"
)


def run(options: Options, ending: Ending) -> None:
    """Until there are enough of them, the reader has gone, or a signal says so."""
    target = functions.choose(options) if options.command == "kprobe" else None
    with open_session(options, target) as session:
        waiting = Waiting(session, options.pids, ending)
        lines = Lines(options, target)
        try:
            while not ending.asked and not lines.complete:
                waiting.until(options.delay_s)
                write_all(lines.of(session.stream()))
            for _ in range(2):  # an exit that is held back comes with the second look
                if not lines.complete:
                    write_all(lines.of(session.stream()))
                    time.sleep(_HELD_S)
        except OutputClosed:
            return


def open_session(options: Options, target: Optional[Target] = None) -> Session:
    """The command's probes, and no more privileges than they need.

    Raises PermissionDenied or Unsupported when they cannot run here.
    """
    needed = PROBES[options.command]
    try:
        session = Session(
            needed,
            events_bytes=options.buffer_bytes,
            filter=kernel_filter(options),
            debug=options.debug,
            hook=target.hook if target else None,
            transitions=options.command == "tcp",
            allocations=options.command == "mem",
        )
    except EbtopError as error:
        raise refusal(error) from error
    for probe in session.refresh().probes:
        if probe.name in needed[1:] and probe.state != "on":
            session.close()
            if target and probe.name == "kfunc":
                raise functions.refusal(target, probe)
            kind = PermissionDenied if probe.state == "denied" else Unsupported
            raise refusal(kind(f"{probe.name}: {probe.reason}"))
    about = privilege.drop(bpf=True)
    if about:
        say(about)
    about = note(session)
    if about:
        say(about)
    return session


class Waiting:
    """Waits for a part of the buffer to fill; also says when a process of the filter ends."""

    def __init__(self, session: Session, pids: tuple[int, ...], ending: Ending) -> None:
        self._epoll = select.epoll()
        self._epoll.register(ending.fd, select.EPOLLIN)
        if session.event_fd is not None:
            # of the edge alone: it is readable as soon as there is one event, and one is no hurry
            self._epoll.register(session.event_fd, select.EPOLLIN | select.EPOLLET)
        self._ends: dict[int, int] = {}
        self._named = len(pids)
        for pid in pids:
            self._watch(pid)

    def _watch(self, pid: int) -> None:
        try:
            fd = os.pidfd_open(pid)
        except OSError:  # it ended just now, or pids are not those of this namespace
            return
        self._ends[fd] = pid
        self._epoll.register(fd, select.EPOLLIN)

    @property
    def all_ended(self) -> bool:
        """Nothing is left of the processes that were named."""
        return bool(self._named) and not self._ends

    def until(self, delay_s: float) -> None:
        """`delay_s` at most."""
        for fd, _ in self._epoll.poll(delay_s):
            pid = self._ends.pop(fd, None)
            if pid is not None:
                os.close(fd)
                say(f"process {pid} has ended; the filter names it")


class Lines:
    """Makes lines of what a look at the buffer brought, and remembers what spans looks."""

    def __init__(self, options: Options, target: Optional[Target] = None) -> None:
        self._json = options.json
        self._ascii = options.ascii
        self._left = options.iterations
        self._wanted = Wanted(options)
        self._plain = PlainLines(options.json) if options.command == "open" else None
        self._loss = Loss()
        # a birth that is lost loses a descendant from sight
        self._causes = [*_LOST, "forks"] if options.descendants else [*_LOST]
        self._calls = CallLines(target) if target else None
        if target:
            self._causes.append("calls")

    @property
    def complete(self) -> bool:
        """As many as were asked for have been written."""
        return self._left == 0

    def of(self, stream: Stream) -> bytes:
        """What to write; a line says what was lost up to here."""
        to_epoch_ns = time.time_ns() - time.monotonic_ns()
        written = []
        plain = self._plain if self._wanted.all_of_them else None
        rows, end = stream.events, len(stream.events)
        if self._left is not None and plain is not None:
            end = min(end, self._left)
        at = 0
        while at < end and self._left != 0:
            if plain is not None:
                done, lines = plain.of(stream, at, end, to_epoch_ns)
                written.append(lines)
                self._count(done)
                at += done
                if at == end:
                    break
            row = rows.row(at)
            at += 1
            if self._wanted(row):
                written.append(self._line(row, stream.text, to_epoch_ns))
                self._count(1)
        return b"".join([*written, *self._lost(stream)])

    def _line(self, row: dict[str, Any], text: bytes, to_epoch_ns: int) -> bytes:
        time_ns = row["time_ns"] + to_epoch_ns
        calls = self._calls
        if self._json:
            return raw_bytes(json_event(row, text, time_ns, calls.json if calls else None))
        own = calls.text if calls else None
        return raw_bytes(text_event(row, text, time_ns, self._ascii, own))

    def _count(self, events: int) -> None:
        if self._left is not None:
            self._left -= events

    def _lost(self, stream: Stream) -> Iterator[bytes]:
        line = json_lost if self._json else text_lost
        lost = {cause: stream.lost.get(cause, 0) for cause in self._causes}
        self._loss.note(sum(lost.values()))
        return (raw_bytes(line(cause, count)) for cause, count in lost.items() if count)


class Wanted:
    """Which events get a line. Births and ends of processes pass no filter in the kernel."""

    def __init__(self, options: Options) -> None:
        self._kinds = frozenset(EVENT_TYPES.index(kind) for kind in KINDS[options.command])
        self._fork = EVENT_TYPES.index("fork")
        self._exit = EVENT_TYPES.index("exit")
        births = "exec" in KINDS[options.command]
        # of the others the kernel sees to one pid and its descendants
        self._pids = set(options.pids) if births or len(set(options.pids)) > 1 else set()
        self._all = not self._pids
        self._follow = options.descendants and births
        self._uid = uid_of(options.user) if births else None
        self._comm = None if options.comm is None else raw_bytes(options.comm)
        if self._follow:
            self._pids |= host.descendants(self._pids)

    @property
    def all_of_them(self) -> bool:
        """Nothing is left for us to choose, as long as all events are of the kinds wanted."""
        return self._all and not self._follow and self._uid is None and self._comm is None

    def __call__(self, row: dict[str, Any]) -> bool:
        """To be asked of each event in turn."""
        kind, pid = row["type"], row["pid"]
        if self._follow and kind == self._fork and row["ppid"] in self._pids:
            self._pids.add(pid)
        chosen = kind in self._kinds and (self._all or pid in self._pids) and self._passes(row)
        if self._follow and kind == self._exit:
            self._pids.discard(pid)
        return chosen

    def _passes(self, row: dict[str, Any]) -> bool:
        if self._uid is not None and row["uid"] != self._uid:
            return False
        return self._comm is None or self._comm in row["comm"]


class Loss:
    """Says once what to do when losses go on for some seconds."""

    def __init__(self) -> None:
        self._since: Optional[float] = None
        self._last = 0.0
        self._said = False

    def note(self, lost: int) -> None:
        now = time.monotonic()
        if self._since is not None and now - self._last > _LASTS_S / 2:
            self._since = None  # it was over in between
        if lost:
            self._since = now if self._since is None else self._since
            self._last = now
        if self._since is not None and now - self._since >= _LASTS_S and not self._said:
            self._said = True
            say(_ADVICE)
