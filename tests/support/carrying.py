# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns processes that send and receive, and say how much; and the sockets for them."""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Optional

import pytest
from children import child
from connecting import look, pair
from lacking import needs_ipv6
from observe import row_of

from ebtop.model.snapshot import Snapshot
from ebtop.sources.bpf import Session

SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33


def needs_sends(session: Session) -> None:
    if any("bytes sent" in probe.hook for probe in session.refresh().probes):
        pytest.skip("nothing tells here what a process sent")


class Worker:
    """A process that works on sockets it inherited, says what it sent and received, and stays."""

    def __init__(self, work: Callable[[], tuple[int, int]]) -> None:
        reader, writer = os.pipe()

        def run() -> None:
            os.write(writer, struct.pack("QQ", *work()))
            signal.pause()

        self.pid = child(run)
        os.close(writer)
        self._reader = reader
        self._known: Optional[tuple[int, int]] = None

    def carried(self) -> tuple[int, int]:
        """(sent, received), when it is done."""
        if self._known is None:
            told = os.read(self._reader, 16)
            assert len(told) == 16, "the worker failed"
            sent, received = struct.unpack("QQ", told)
            self._known = (sent, received)
        return self._known

    def end(self) -> None:
        os.close(self._reader)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@contextmanager
def worker(work: Callable[[], tuple[int, int]]) -> Iterator[Worker]:
    found = Worker(work)
    try:
        yield found
    finally:
        found.end()


def agrees(session: Session, found: Worker) -> Snapshot:
    """Its row says what it says itself."""

    def is_there(snapshot: Snapshot) -> bool:
        row = row_of(snapshot, found.pid)
        return (row["net_tx_bytes"], row["net_rx_bytes"]) == found.carried()

    found.carried()
    return look(session, is_there)


@contextmanager
def connected(family: int = socket.AF_INET) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection on the loopback."""
    where = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    if family == socket.AF_INET6:
        needs_ipv6()
    with socket.create_server((where, 0), family=family) as server:
        out, taken = pair(server)
    with out, taken:
        yield out, taken


@contextmanager
def datagrams(
    family: int = socket.AF_INET, port: int = 0
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two UDP sockets with each other for the other end, and room for all that is sent."""
    where = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    kind = (family, socket.SOCK_DGRAM)
    with socket.socket(*kind) as one, socket.socket(*kind) as two:
        for end, own in ((one, 0), (two, port)):
            end.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 4 << 20)
            end.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
            end.bind((where, own))
        one.connect(two.getsockname())
        two.connect(one.getsockname())
        yield one, two


def received(end: socket.socket, total: int) -> int:
    got = 0
    while got < total:
        part = len(end.recv(65536))
        assert part, "the other end is gone"
        got += part
    return got
