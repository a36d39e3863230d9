# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the split in two: a child that is the dashboard, and a parent that is `keeper.py`.

The process that the user started stays as the parent, so whoever waits for it sees the end only
when the terminal is given back. It knows no curses: the child tells it over a pipe which bytes
leave its screen, and when it has left by itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

from ebtop import keeper, privilege


class Lifeline:
    """The child's end: tells the parent about the terminal, and hears when the parent is gone."""

    def __init__(self, notes: int, parent_fd: int) -> None:
        self._notes = notes
        self.parent_fd = parent_fd
        """Readable (end of file) once the parent is dead."""

    def entered(self, leave: bytes) -> None:
        """The screen is taken now; `leave` is what gives it back."""
        self._note(keeper.ENTERED + leave.hex().encode("ascii"))

    def left(self) -> None:
        """The screen was given back in good order."""
        self._note(keeper.LEFT)

    def _note(self, note: bytes) -> None:
        with contextlib.suppress(OSError):  # the parent may be dead: then nobody needs the note
            os.write(self._notes, note + b"\n")


def go_under_guard(terminal: int = 1) -> Lifeline:
    """Forks. Comes back in the child only; the parent ends when the child does, with its status."""
    settings = keeper.settings_of(terminal)
    notes, child_notes = os.pipe()
    parent_end, alive = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    # Blocked from before the fork on, so that nothing is lost; both outlive exec. SIGTTOU, so that
    # a parent in the background may still restore the settings of the terminal.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*keeper.waited(), signal.SIGTTOU})
    user = privilege.before_fork()
    pid = os.fork()
    if pid == 0:
        os.close(notes)
        os.close(alive)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return Lifeline(child_notes, parent_end)
    os.close(child_notes)
    os.close(parent_end)
    code = _open_code(keeper.__file__)
    if user is not None:
        privilege.become(user)
    for fd in (notes, alive):
        os.set_inheritable(fd, True)
    _start_bare(code, str(pid), str(notes), str(terminal), settings)
    os._exit(keeper.keep(pid, notes, terminal, settings))


def _open_code(path: str) -> str:
    """A path by which the user that we become can read it, wherever root installed it."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return path
    os.set_inheritable(fd, True)
    return f"/proc/self/fd/{fd}"


def _start_bare(*code: str) -> None:
    """Makes this process a bare interpreter that runs `code`; comes back where that cannot be."""
    # not by the path in a virtual environment, which that user may not be able to follow
    python = os.path.realpath(sys.executable)
    if os.access(code[0], os.R_OK):
        with contextlib.suppress(OSError):
            os.execv(python, [python, "-I", "-S", *code])
