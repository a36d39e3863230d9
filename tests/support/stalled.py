# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns outputs that nobody reads: each is full, or stopped, before anything is written there."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator

WRITE = "1"
"""The system call (x86-64)."""
SETTLED_S = 0.1


def _fill(fd: int) -> None:
    os.set_blocking(fd, False)
    full_since = time.monotonic()
    # the kernel moves what a terminal was given on to its reader later, and so makes room again
    while time.monotonic() - full_since < SETTLED_S:
        for size in (4096, 1):
            with contextlib.suppress(BlockingIOError):
                while os.write(fd, b"x" * size):
                    full_since = time.monotonic()
        time.sleep(SETTLED_S / 10)


@contextlib.contextmanager
def _pipe(blocking: bool) -> Iterator[int]:
    reader, writer = os.pipe()
    _fill(writer)
    os.set_blocking(writer, blocking)
    yield writer
    os.close(reader)
    os.close(writer)


@contextlib.contextmanager
def _fifo() -> Iterator[int]:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "fifo")
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        writer = os.open(path, os.O_WRONLY)
        _fill(writer)
        os.set_blocking(writer, True)
        yield writer
        os.close(reader)
        os.close(writer)


@contextlib.contextmanager
def _socket() -> Iterator[int]:
    one, other = socket.socketpair()
    with one, other:
        _fill(one.fileno())
        one.setblocking(True)
        yield one.fileno()


@contextlib.contextmanager
def _terminal(stopped: bool) -> Iterator[int]:
    ours, theirs = os.openpty()
    if stopped:
        os.write(ours, b"\x13")
        time.sleep(0.05)
    else:
        _fill(theirs)
        os.set_blocking(theirs, True)
    yield theirs
    os.close(ours)
    os.close(theirs)


OUTPUTS: dict[str, Callable[[], contextlib.AbstractContextManager[int]]] = {
    "a full pipe": lambda: _pipe(True),
    "a full pipe that does not block": lambda: _pipe(False),
    "a full FIFO": _fifo,
    "a full socket": _socket,
    "a stopped terminal": lambda: _terminal(True),
    "a terminal that nobody reads": lambda: _terminal(False),
}
