# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the small parent process that gives the terminal back however the dashboard ends.

The process that the user started stays, forks the dashboard before anything heavy is imported,
passes signals on and waits. It knows no curses: the child tells it over a pipe which bytes leave
its screen, and when it has left by itself. No handlers and no polling: it waits for signals.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
import traceback
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Optional

FORWARDED = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP}
_SENT_BY_KERNEL = 0x80
_ENTERED, _LEFT, _NO_SCREEN = b"E", b"L", b"N"


@dataclass(frozen=True)
class Ending:
    """How the child ended. `no_screen`: the terminal cannot show a dashboard, nothing was done."""

    status: int
    no_screen: bool = False


class Lifeline:
    """The child's end: tells the parent about the terminal, and hears when the parent is gone."""

    def __init__(self, notes: int, parent_fd: int) -> None:
        self._notes = notes
        self.parent_fd = parent_fd
        """Readable (end of file) once the parent is dead."""

    def entered(self, leave: bytes) -> None:
        """The screen is taken now; `leave` is what gives it back."""
        self._note(_ENTERED + leave.hex().encode("ascii"))

    def left(self) -> None:
        """The screen was given back in good order."""
        self._note(_LEFT)

    def no_screen(self) -> None:
        """The terminal cannot address its cursor: the caller should do without a screen."""
        self._note(_NO_SCREEN)

    def _note(self, note: bytes) -> None:
        with contextlib.suppress(OSError):  # the parent may be dead: then nobody needs the note
            os.write(self._notes, note + b"\n")


def protect(dashboard: Callable[[Lifeline], int], terminal: int = 1) -> Ending:
    """Runs `dashboard` in a child and returns how it ended, with the terminal as it was."""
    saved = _settings(terminal)
    notes, child_notes = os.pipe()
    parent_end, alive = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with _signals_held() as mask_before:
        pid = os.fork()
        if pid == 0:
            os.close(notes)
            os.close(alive)
            _become(dashboard, Lifeline(child_notes, parent_end), mask_before)
        os.close(child_notes)
        os.close(parent_end)
        status = _follow(pid)
        ending = _give_back(terminal, saved, notes, status)
    os.close(notes)
    os.close(alive)
    return ending


def _become(dashboard: Callable[[Lifeline], int], line: Lifeline, mask: set[Any]) -> None:
    """The child: never returns into the caller's stack, whatever happens."""
    status = 1
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        status = dashboard(line)
    except KeyboardInterrupt:
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


@contextlib.contextmanager
def _signals_held() -> Iterator[set[Any]]:
    """Blocks what `_follow` waits for, so that nothing is lost between fork and wait."""
    # Blocked signals are queued only if they are not ignored; SIGTTOU is blocked so that a parent
    # in the background may still restore the settings of the terminal.
    waited = _waited()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited | {signal.SIGTTOU})
    chld = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield before
    finally:
        signal.signal(signal.SIGCHLD, chld or signal.SIG_DFL)
        while signal.sigtimedwait(waited, 0) is not None:
            pass  # what came after the child's end was meant for the dashboard
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _waited() -> set[signal.Signals]:
    """nohup and `&` in a script start us with some signals ignored, and mean it."""
    heard = {number for number in FORWARDED if signal.getsignal(number) != signal.SIG_IGN}
    return heard | {signal.SIGCHLD}


def _follow(pid: int) -> int:
    """Passes signals on until the child is gone; its wait status."""
    waited = _waited()
    while True:
        told = signal.sigwaitinfo(waited)
        if told.si_signo != signal.SIGCHLD:
            # What the terminal sends, the child got too.
            if told.si_code != _SENT_BY_KERNEL:
                os.kill(pid, told.si_signo)
            continue
        while True:
            done, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
            if done == 0:
                break
            if not os.WIFSTOPPED(status):
                return status
            if os.WSTOPSIG(status) != signal.SIGSTOP:
                _stop_with(pid)


def _stop_with(pid: int) -> None:
    """The child has stopped (Ctrl-Z): so does this one, for the shell waits for it alone."""
    os.kill(os.getpid(), signal.SIGSTOP)
    os.kill(pid, signal.SIGCONT)


def _give_back(terminal: int, saved: Optional[list[Any]], notes: int, status: int) -> Ending:
    told = _read_notes(notes).split(b"\n")
    entered = [note[1:] for note in told if note.startswith(_ENTERED)]
    if entered and told[-2:-1] != [_LEFT]:
        with contextlib.suppress(OSError, ValueError):
            os.write(terminal, bytes.fromhex(entered[-1].decode("ascii")))
    if saved is not None:
        with contextlib.suppress(termios.error):  # the terminal may be gone
            if termios.tcgetattr(terminal) != saved:
                termios.tcsetattr(terminal, termios.TCSADRAIN, saved)
    if os.WIFSIGNALED(status):
        return Ending(128 + os.WTERMSIG(status))
    return Ending(os.WEXITSTATUS(status), _NO_SCREEN in told)


def _read_notes(notes: int) -> bytes:
    # A grandchild could hold the other end open: take what is there, do not wait for the end.
    os.set_blocking(notes, False)
    try:
        return os.read(notes, 1 << 16)
    except BlockingIOError:
        return b""


def _settings(terminal: int) -> Optional[list[Any]]:
    try:
        return termios.tcgetattr(terminal)
    except termios.error:
        return None
