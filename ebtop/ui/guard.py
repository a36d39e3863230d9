# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the split in two: a child that is the dashboard, and a parent that is `supervisor.py`.

The process that the user started stays as the parent, so a shell that waits for it continues only
after the terminal is restored. The parent knows no curses: the child sends it the bytes that leave
the screen, and a note once it has left the screen itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import Optional

from ebtop.errors import EXIT_FAILED
from ebtop.runtime import privilege
from ebtop.runtime.stdio import say
from ebtop.ui import supervisor


class Lifeline:
    """The child's end of the pipes: informs the parent of the terminal, and detects the parent's
    death."""

    def __init__(self, notes: int, parent_fd: int) -> None:
        self._notes = notes
        self.parent_fd = parent_fd
        """Readable (end of file) once the parent is dead."""

    def entered(self, leave: bytes) -> None:
        """The screen is taken now; `leave` is what gives it back."""
        self._note(supervisor.ENTERED + leave.hex().encode("ascii"))

    def left(self) -> None:
        """The screen was given back in good order."""
        self._note(supervisor.LEFT)

    def _note(self, note: bytes) -> None:
        with contextlib.suppress(OSError):  # the parent may be dead: then nobody needs the note
            os.write(self._notes, note + b"\n")


def go_under_guard(terminal: int = 1) -> Lifeline:
    """Forks. Returns in the child only; the parent exits when the child does, with its status."""
    settings = supervisor.settings_of(terminal)
    notes, child_notes = os.pipe()
    parent_end, alive = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    # Blocked from before the fork on, so that nothing is lost; both outlive exec. SIGTTOU, so that
    # a parent in the background may still restore the settings of the terminal.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*supervisor.waited(), signal.SIGTTOU})
    user = privilege.before_fork()
    pid = os.fork()
    if pid == 0:
        os.close(notes)
        os.close(alive)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return Lifeline(child_notes, parent_end)
    os.close(child_notes)
    os.close(parent_end)
    _start_bare(pid, notes, alive, terminal, settings, user)
    os._exit(EXIT_FAILED)


def _start_bare(
    pid: int, notes: int, alive: int, terminal: int, settings: str, user: Optional[privilege.User]
) -> None:
    """Makes this process a bare interpreter that runs the supervisor; returns if exec fails."""
    if user is not None:
        os.setresuid(0, 0, 0)
    for fd in (notes, alive):
        os.set_inheritable(fd, True)
    words = [supervisor.__file__, str(pid), str(notes), str(terminal), settings]
    words += [_path_of(name) for name in supervisor.NEEDED]
    words += map(str, user or ())
    # not by the path in a virtual environment, which is a link
    python = os.path.realpath(sys.executable)
    try:
        os.execv(python, [python, "-I", "-S", *words])
    except OSError as error:
        say(f"cannot start {python}: {error.strerror}")


def _path_of(module: str) -> str:
    import importlib.util

    spec = importlib.util.find_spec(module)
    return (spec and spec.origin) or ""
