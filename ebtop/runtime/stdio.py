# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns every write to standard output, standard error, the terminal and files that users name.

It handles closed pipes and full disks, and does not let a blocked write delay the exit of a
command. Callers make their text displayable before they write it; messages are made displayable
here.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import select
import time
from collections.abc import Callable

from ebtop.errors import EbtopError
from ebtop.runtime import signals
from ebtop.text import displayable

_STALL_S, _HURRIED_S = 0.3, 0.05
"""Once the command is to stop, a write waits this long for a reader that takes nothing. The second
time applies after an earlier write stalled, and after a second request to stop."""
_LONGEST_S = 5.0
"""The limit for a reader that takes a little now and then."""
_PIECE_BYTES = 1 << 20


class OutputClosed(Exception):
    """The reader of the output has closed it, as `| head` does. This is not a failure."""


class Unread(OutputClosed):
    """The reader did not read when the command was to stop. `written` bytes of the last write went
    out; later writes would continue a torn line, and are refused."""

    def __init__(self, written: int) -> None:
        super().__init__()
        self.written = written


def fill_standard_fds() -> None:
    """Replaces closed standard descriptors: otherwise the next opened file would take their number
    and receive the output. The replacement fails on reads or writes as a closed one would.
    """
    for fd, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, flags)  # the lowest free one: this


def write_all(data: bytes, fd: int = 1) -> None:
    """Raises OutputClosed, or EbtopError with the reason.

    While signals are handled, a signal that ends the command also ends a blocked write.
    """
    left = memoryview(data)
    heard = signals.heard()
    outlet = _Outlet(fd) if heard is None else _Heard(fd, heard)
    try:
        while left:
            left = left[outlet.write(left[:_PIECE_BYTES]) :]
    except _NobodyReads:
        raise Unread(len(data) - len(left)) from None
    except BrokenPipeError:
        raise OutputClosed from None
    except OSError as error:
        reason = os.strerror(error.errno or errno.EIO)
        raise EbtopError(f"cannot write the output: {reason}") from None
    finally:
        outlet.done()


also_said: Callable[[str], None] | None = None
"""Receives the messages of `say` too: the log, if there is one."""


def say(message: str) -> None:
    """Writes one line to standard error; errors are ignored, for they could not be reported."""
    write_error(f"ebtop: {displayable(message)}\n".encode())
    if also_said is not None:
        also_said(message)


def write_error(data: bytes) -> None:
    """To standard error, as far as that can be."""
    with contextlib.suppress(EbtopError, OutputClosed):
        write_all(data, 2)


class _NobodyReads(Exception):
    pass


class _Outlet:
    """A descriptor that is written to while signals have their default effect."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, data: memoryview) -> int:
        """How much of it went out; waits for room."""
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            select.select([], [self._fd], [])
            return 0

    def done(self) -> None:
        pass


class _Heard(_Outlet):
    """The same while signals are heard.

    The room that poll(2) reports may be less than the write, or another process may use it first;
    write(2) then blocks, and Python restarts it after each signal. So a timer ticks meanwhile, and
    the tick that finds the time expired puts a pipe without a reader in place of the descriptor.
    The write then fails, and the number of bytes written before is exact.
    """

    _unread: set[int] = set()  # noqa: RUF012 - what was given up stays so, in all that is written

    def __init__(self, fd: int, heard: signals.Signals) -> None:
        super().__init__(fd)
        self._heard = heard
        self._began = self._moved = time.monotonic()
        self._kept_from_hearing = False
        self._given_up = False

    def write(self, data: memoryview) -> int:
        self._wait_for_room()
        try:
            with self._heard.ticking(self._tick):
                count = os.write(self._fd, data)
        except BlockingIOError:
            time.sleep(0.001)  # room, but too little for this
            return 0
        except BrokenPipeError:
            if self._given_up:
                raise _NobodyReads from None
            raise
        self._moved = time.monotonic()
        return count

    def done(self) -> None:
        if self._kept_from_hearing:
            self._heard.wake()

    def _left_s(self) -> float:
        """How long it may still wait for a reader who takes nothing."""
        asked = self._heard.stop_requested_at
        if asked is None:
            return math.inf
        stall_s = _HURRIED_S if self._heard.hurried or self._unread else _STALL_S
        return max(self._moved, asked) + stall_s - time.monotonic()

    def _took_too_long(self) -> bool:
        asked = self._heard.stop_requested_at
        return asked is not None and time.monotonic() > max(self._began, asked) + _LONGEST_S

    def _wait_for_room(self) -> None:
        while not self._given_up:
            poller = select.poll()
            poller.register(self._fd, select.POLLOUT)
            if not self._heard.stop_requested:
                poller.register(self._heard.fd, select.POLLIN)
            left_s = self._left_s()
            ready = dict(poller.poll(None if math.isinf(left_s) else max(0.0, left_s) * 1000))
            if self._fd in ready and not self._took_too_long():
                return
            if left_s <= 0 or self._fd in ready:
                self._give_up()
            elif self._heard.fd in ready:
                self._heard.hush()
                self._kept_from_hearing = True
        raise _NobodyReads

    def _tick(self) -> None:
        if self._left_s() <= 0:
            self._give_up()

    def _give_up(self) -> None:
        self._given_up = True
        self._unread.add(self._fd)
        os.dup2(self._heard.nobody_fd, self._fd)


def wants_color(choice: str) -> bool:
    """auto, always or never, as `--color` says it."""
    if choice != "auto":
        return choice == "always"
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return os.isatty(1) and not plain


def locale_is_utf8() -> bool:
    """Whether the user's terminal understands UTF-8, by the locale at the start of this process.

    Python may have changed LC_CTYPE since (PEP 538), so the original environment is read.
    """
    try:
        with open("/proc/self/environ", "rb") as file:
            words = file.read().split(b"\0")
        given = dict(word.partition(b"=")[::2] for word in words)
    except OSError:
        given = dict(os.environb)
    for name in (b"LC_ALL", b"LC_CTYPE", b"LANG"):
        if given.get(name):
            return b"utf8" in given[name].lower().replace(b"-", b"")
    return False
