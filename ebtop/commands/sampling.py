# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the loop of the commands that write samples: when, until when, and what can end it.

It knows neither the format of a sample nor its source. A sample is written completely or not at
all; a signal takes effect between two samples.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Any

from ebtop.model.snapshot import Snapshot
from ebtop.runtime.signals import Signals
from ebtop.runtime.stdio import OutputClosed, write_all

_DRAIN_PAUSE_S = 0.02  # events come in bursts; one look at the ring buffer serves many


def wait(source: Any, signals: Signals, until: float) -> bool:
    """Waits until the time `until` (monotonic) and drains events meanwhile. True if the command is
    to stop: on a signal, or when the reader of the output is gone."""
    quiet, poller = select.poll(), select.poll()
    for poll in (quiet, poller):
        poll.register(signals.fd, select.POLLIN)
        poll.register(1, 0)
    if source.event_fd is not None:
        poller.register(source.event_fd, select.POLLIN)
    while not signals.stop_requested:
        left = until - time.monotonic()
        if left <= 0:
            return False
        ready = {fd for fd, _ in poller.poll(left * 1000 + 1)}
        if source.event_fd in ready:
            source.poll()
            pause = min(_DRAIN_PAUSE_S, max(0.0, until - time.monotonic()))
            ready = {fd for fd, _ in quiet.poll(pause * 1000)}
        if 1 in ready:
            return True
        if signals.fd in ready:
            signals.hush()
    return True


def run(
    source: Any,
    delay_s: float,
    iterations: int | None,
    refresh: Callable[[], Snapshot],
    emit: Callable[[Snapshot], str],
    signals: Signals,
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
        # after a late sample the next ones are not hurried
        due = max(due + delay_s, time.monotonic())
        if wait(source, signals, due):
            return
        try:
            write_all(emit(refresh()).encode("utf-8"))
        except OutputClosed:
            return
        written += 1
