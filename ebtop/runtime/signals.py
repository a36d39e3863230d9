# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the handling of signals: handlers only record them, and a descriptor wakes the loops.

The commands decide what a signal means. stdio.py decides how long a write may continue after a
request to stop; it finds here the recorded signals, and a timer that interrupts a blocked write.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any, Optional

ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
STATE = signal.SIGUSR1
"""Asks for a dump of this ebtop's state; commands without one ignore it."""
OF_TERMINAL = (signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT)
_AGAIN_S = 0.5
"""timeout(1) signals its child and then the whole group: a second signal this soon is the same
request."""
_TICK_S = 0.05

_heard: Optional[Signals] = None


def heard() -> Optional[Signals]:
    """The installed handlers; None while signals have their default effect."""
    return _heard


class Signals:
    """The handlers are installed until `release`, or within a `with`. Only one at a time.

    `fd` becomes readable when a signal arrives; `taken` drains it.
    """

    def __init__(self, numbers: Iterable[int] = ENDING) -> None:
        global _heard
        self.stop_requested_at: Optional[float] = None
        """When (monotonic) the first request to stop came."""
        self.hurried = False
        """A second request to stop came."""
        self._numbers: set[int] = set()
        self.tell_state: Optional[Callable[[], object]] = None
        """Called after STATE, where a loop checks its signals."""
        self._tick: Optional[Callable[[], None]] = None
        self._before: dict[int, Any] = {}
        self.fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        reader, self.nobody_fd = os.pipe()
        os.close(reader)
        self._wakeup_before = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for number in (*numbers, STATE):
            # nohup and `&` in a script start us with these ignored, and mean it
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._came)
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._ticked)
        self._mask_before = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        _heard = self

    def __enter__(self) -> Signals:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Restores the previous handlers."""
        global _heard
        _heard = None
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask_before)
        for fd in (self.fd, self._write_fd, self.nobody_fd):
            os.close(fd)

    @property
    def stop_requested(self) -> bool:
        """Whether a signal has asked the command to stop."""
        return self.stop_requested_at is not None

    def taken(self) -> set[int]:
        """The signals that came since the last call."""
        self.hush()
        numbers, self._numbers = self._numbers, set()
        return numbers

    def hush(self) -> None:
        """Drains `fd` but keeps the recorded signals."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.fd, 4096):
                pass
        if STATE in self._numbers:
            self._numbers.discard(STATE)
            if self.tell_state is not None:
                self.tell_state()

    def wake(self) -> None:
        """Makes `fd` readable again, for a loop whose notification was consumed."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._write_fd, b"\0")

    @contextlib.contextmanager
    def ticking(self, tick: Callable[[], None]) -> Iterator[None]:
        """Interrupts blocking system calls inside the `with`: `tick` is called periodically.

        A signal may arrive just before the call that it should interrupt; a later tick still does.
        """
        self._tick = tick
        signal.setitimer(signal.ITIMER_REAL, _TICK_S, _TICK_S)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._tick = None

    @contextlib.contextmanager
    def at_once(self, status_of: Callable[[int], int] = lambda number: 0) -> Iterator[None]:
        """Inside the `with` a request to stop exits this process at once, with that status.

        Python's handlers do not run while the kernel verifies programs, which can take seconds;
        everything created so far is released with the process.
        """
        done, stop = os.pipe()
        lock = _thread.allocate_lock()
        lock.acquire()

        def watch() -> None:
            poller = select.poll()
            for fd in (self.fd, done):
                poller.register(fd, select.POLLIN)
            while done not in {fd for fd, _ in poller.poll()}:
                with contextlib.suppress(BlockingIOError):
                    for number in os.read(self.fd, 4096):
                        if number in ENDING:
                            os._exit(status_of(number))
            lock.release()

        _thread.start_new_thread(watch, ())
        try:
            yield
        finally:
            os.close(stop)
            lock.acquire()
            os.close(done)
            self.wake()  # the thread above has consumed other signals: notify the loop

    def _came(self, number: int, frame: Optional[FrameType]) -> None:
        self._numbers.add(number)
        if number not in ENDING:
            return
        now = time.monotonic()
        if self.stop_requested_at is None:
            self.stop_requested_at = now
        elif now - self.stop_requested_at > _AGAIN_S:
            self.hurried = True

    def _ticked(self, number: int, frame: Optional[FrameType]) -> None:
        if self._tick is not None:
            self._tick()

    # ---- the dashboard's ----

    def stop_here(self) -> None:
        """Stops this process as Ctrl-Z does by default; returns after SIGCONT.

        The kernel does not stop a process that no shell with job control could continue.
        """
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._came)

    @staticmethod
    def allow_background() -> None:
        """Lets this process restore the terminal although its parent is dead and a shell has the
        terminal.

        By default the kernel stops a background process that changes terminal settings.
        """
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
