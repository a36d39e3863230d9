# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns how signals are heard: handlers note them and do nothing else, a descriptor tells the loops.

What a signal means is the command's concern. How long a write may still wait after one that ends is
stdio.py's, which finds here what was heard, and a clock that wakes a write from its sleep.
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
"""Asks for the state of this ebtop; heard by whoever has one to tell."""
OF_TERMINAL = (signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT)
_AGAIN_S = 0.5
"""timeout(1) tells its child and then the whole group: what comes so soon is the same wish."""
_TICK_S = 0.05

_heard: Optional[Signals] = None


def heard() -> Optional[Signals]:
    """What this process hears now; None where signals still have their default effect."""
    return _heard


class Signals:
    """From its making to `release`, or as a context manager. One at a time.

    `fd` is readable when something came; `taken` makes it quiet again.
    """

    def __init__(self, numbers: Iterable[int] = ENDING) -> None:
        global _heard
        self.stop_requested_at: Optional[float] = None
        """When (monotonic) the end was asked for first."""
        self.hurried = False
        """It was asked for again."""
        self._numbers: set[int] = set()
        self.tell_state: Optional[Callable[[], object]] = None
        """Called where a loop looks at its signals, after STATE came."""
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
        """Signals mean again what they did before."""
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
        """Whether the end was asked for."""
        return self.stop_requested_at is not None

    def taken(self) -> set[int]:
        """The numbers that came since the last call."""
        self.hush()
        numbers, self._numbers = self._numbers, set()
        return numbers

    def hush(self) -> None:
        """Nothing is forgotten, but `fd` is not readable any more."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.fd, 4096):
                pass
        if STATE in self._numbers:
            self._numbers.discard(STATE)
            if self.tell_state is not None:
                self.tell_state()

    def wake(self) -> None:
        """For a loop that was kept from hearing: `fd` is readable once more."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._write_fd, b"\0")

    @contextlib.contextmanager
    def ticking(self, tick: Callable[[], None]) -> Iterator[None]:
        """Meanwhile no system call sleeps on: `tick` is called again and again.

        A signal may come just before the call that it should interrupt; the next tick does not.
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
        """Meanwhile a signal that ends ends this process itself, with that status.

        While the kernel verifies programs, for tenths of a second up to many seconds, no handler
        runs; and what there is by then goes with the process.
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
            self.wake()  # the rest that came was taken without a look

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
        """Stops as Ctrl-Z does, and comes back with SIGCONT; what was sent to stop us is spent.

        Where nobody could continue us (no shell with job control) the kernel does not stop us.
        """
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._came)

    @staticmethod
    def allow_background() -> None:
        """The parent is dead and the terminal a shell's: let its settings be restored all the same.

        By default the kernel stops whoever does that from the background.
        """
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
