# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns writing to standard output and standard error outside the dashboard.

It knows what a closed pipe and a full disk mean for a command. What is written is made displayable
before it comes here, except for messages, which are made so here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select

from ebtop.errors import EbtopError
from ebtop.text import displayable


class OutputClosed(Exception):
    """Whoever read the output has gone, as `| head` does. No failure."""


def fill_standard_fds() -> None:
    """A closed standard descriptor would be the next file opened here, and be written into.

    In its place comes one that gives an error on what it is for.
    """
    for fd, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, flags)  # the lowest free one: this


def write_all(data: bytes, fd: int = 1) -> None:
    """Raises OutputClosed, or EbtopError with the reason."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(fd, left) :]
        except BlockingIOError:
            select.select([], [fd], [])
        except BrokenPipeError:
            raise OutputClosed from None
        except OSError as error:
            reason = os.strerror(error.errno or errno.EIO)
            raise EbtopError(f"cannot write the output: {reason}") from None


def say(message: str) -> None:
    """One line on standard error; should that be closed or full, nobody is there to be told."""
    with contextlib.suppress(OSError):
        os.write(2, f"ebtop: {displayable(message)}\n".encode())


def locale_is_utf8() -> bool:
    """What the user's terminal understands, by the locale this process was started with.

    Python may have changed LC_CTYPE since (PEP 538), so the environment is asked as it was.
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
