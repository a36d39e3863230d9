# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns how signals reach the dashboard's loop: as numbers read from a descriptor it polls.

Handlers do nothing but exist, so that no signal interrupts a refresh or a drawing half-way.
"""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType
from typing import Optional

ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
_HEARD = (*ENDING, signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT)


class Signals:
    """From its making on; `fd` is readable when there are some."""

    def __init__(self) -> None:
        self.fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for number in _HEARD:
            # nohup and `&` in a script start us with these ignored, and mean it
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, _note)

    def release(self) -> None:
        """Signals mean again what they do in a process that never had a loop."""
        signal.set_wakeup_fd(-1)
        for number in _HEARD:
            if signal.getsignal(number) is _note:
                default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
                signal.signal(number, default)

    def taken(self) -> set[int]:
        """The numbers that came since the last call."""
        numbers: set[int] = set()
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.fd, 4096):
                numbers.update(data)
        return numbers

    def stop_here(self) -> None:
        """Stops as Ctrl-Z does, and comes back with SIGCONT; what was sent to stop us is spent.

        Where nobody could continue us (no shell with job control) the kernel does not stop us.
        """
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, _note)

    @staticmethod
    def allow_background() -> None:
        """The parent is dead and the terminal a shell's: let its settings be restored all the same.

        By default the kernel stops whoever does that from the background.
        """
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)


def _note(number: int, frame: Optional[FrameType]) -> None:
    """The number is in the pipe by now."""
