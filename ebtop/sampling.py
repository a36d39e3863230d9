# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the loop of the commands that write samples: when, until when, and what can end it.

It knows neither what a sample looks like nor where it comes from. A sample is written whole or
not at all; a signal asks for the end and is obeyed between two samples.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from ebtop.output import OutputClosed, write_all
from ebtop.snapshot import Snapshot

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DRAIN_PAUSE_S = 0.02  # events come in bursts; one look at the ring buffer serves many


class Ending:
    """Signals that end the command: a flag, and a descriptor that becomes readable with it."""

    def __init__(self) -> None:
        self.asked = False
        self.fd = -1
        self._write_fd = -1
        self._before: dict[signal.Signals, Any] = {}
        self._wakeup_before = -1

    def __enter__(self) -> Ending:
        self.fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup_before = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for number in _ENDING:
            # nohup and `&` in a script start us with these ignored, and mean it
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self.fd)
        os.close(self._write_fd)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        # the next one ends us at once, should a reader that never reads hold up the last sample
        for ending in self._before:
            signal.signal(ending, signal.SIG_DFL)


def wait(source: Any, ending: Ending, until: float) -> None:
    """Until the moment `until` (monotonic) or the end is asked for; drains events meanwhile."""
    poller = select.poll()
    poller.register(ending.fd, select.POLLIN)
    if source.event_fd is not None:
        poller.register(source.event_fd, select.POLLIN)
    quiet = select.poll()
    quiet.register(ending.fd, select.POLLIN)
    while not ending.asked:
        left = until - time.monotonic()
        if left <= 0:
            return
        ready = poller.poll(left * 1000 + 1)
        if any(fd == source.event_fd for fd, _ in ready):
            source.poll()
            pause = min(_DRAIN_PAUSE_S, max(0.0, until - time.monotonic()))
            quiet.poll(pause * 1000)


def run(
    source: Any,
    delay_s: float,
    iterations: int | None,
    refresh: Callable[[], Snapshot],
    emit: Callable[[Snapshot], str],
    ending: Ending,
    begun: Callable[[], None] = lambda: None,
) -> None:
    """One sample every `delay_s`, the first one after that time, until told to end.

    `begun` is called when the first interval has begun.
    """
    refresh()
    begun()
    due = time.monotonic()
    written = 0
    while iterations is None or written < iterations:
        # a sample that came late is not made up for by hurried ones
        due = max(due + delay_s, time.monotonic())
        wait(source, ending, due)
        if ending.asked:
            return
        try:
            write_all(emit(refresh()).encode("utf-8"))
        except OutputClosed:
            return
        written += 1
