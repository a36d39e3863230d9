# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the end of a stream of events: what is waited for, and what ends it.

stream.py handles the events left in the buffer, streamlines.py the lines.
"""

from __future__ import annotations

import contextlib
import os
import select
import time

from ebtop.options.options import Options
from ebtop.runtime.signals import Signals
from ebtop.runtime.stdio import say
from ebtop.sources import host
from ebtop.sources.bpf import Session

_ASK_S = 1.0
_TAIL_S = 5.0


class Waiting:
    """Waits for a part of the buffer to fill; also says when a process of the filter ends."""

    def __init__(self, session: Session, options: Options, signals: Signals) -> None:
        self._session = session
        self._signals = signals
        self._epoll = select.epoll()
        self._epoll.register(signals.fd, select.EPOLLIN)
        # a regular file has no reader that could go away
        with contextlib.suppress(PermissionError):
            self._epoll.register(1, 0)
        self.reader_gone = False
        if session.event_fd is not None:
            # edge-triggered: it is readable from the first event on, which is no reason to hurry
            self._epoll.register(session.event_fd, select.EPOLLIN | select.EPOLLET)
        self._ends: dict[int, int] = {}
        self._named = set(options.pids)
        self._can_tell = bool(options.pids) and not host.in_own_pid_namespace()
        self._descendants = options.descendants
        self._asked_after = 0.0
        self._all_ended = False
        # processes born from now on inherit the mark in the kernel
        kin = host.descendants(self._named) if options.descendants else set()
        for pid in self._named | kin:
            self._watch(pid)

    def _watch(self, pid: int) -> None:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:  # it ended just now
            return
        except OSError:
            self._can_tell = False
            return
        self._ends[fd] = pid
        self._epoll.register(fd, select.EPOLLIN)

    @property
    def over(self) -> bool:
        """Whether the reader is gone, or all processes of the filter have exited."""
        if self._can_tell and not self._ends and not self._all_ended:
            self._all_ended = not self._descendants or not self._some_descend()
        return self.reader_gone or self._all_ended

    def _some_descend(self) -> bool:
        """Asked now and then: it looks at all processes."""
        now = time.monotonic()
        if now - self._asked_after < _ASK_S:
            return True
        self._asked_after = now
        return self._session.follows()

    def until(self, delay_s: float) -> None:
        """`delay_s` at most."""
        for fd, _ in self._epoll.poll(delay_s):
            pid = self._ends.pop(fd, None)
            if pid is not None:
                os.close(fd)
                if pid in self._named:
                    say(f"process {pid} has ended; the filter names it")
            elif fd == 1:
                self.reader_gone = True
            elif fd == self._signals.fd:
                self._signals.hush()


class End:
    """Detects the end of the stream, stops the events then, and limits the time for the rest."""

    def __init__(self, session: Session, waiting: Waiting, signals: Signals) -> None:
        self._session = session
        self._waiting = waiting
        self._signals = signals
        self._began = 0.0

    @property
    def came(self) -> bool:
        """Whether a signal came, or the processes or the reader are gone."""
        if not self._began and (self._signals.stop_requested or self._waiting.over):
            self._session.detach()
            self._began = time.monotonic()
        return self._began > 0

    def wait(self, delay_s: float) -> None:
        """`delay_s` at most, for the end or a part of the buffer."""
        self._waiting.until(delay_s)

    @property
    def since_s(self) -> float:
        """How long ago it came."""
        return time.monotonic() - self._began

    def is_late(self) -> bool:
        """To be asked on the way, as writing may take long."""
        if not self._began:
            self.wait(0)
        return self.came and (self._signals.hurried or self.since_s > _TAIL_S)
