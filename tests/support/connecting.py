# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns connections that a test makes, and what a session knows of them."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Optional

import pytest
from lacking import needs_programs
from observe import watch

from ebtop.model.connection_table import LISTEN
from ebtop.model.snapshot import Snapshot
from ebtop.sources.bpf import Session

Row = dict[str, Any]
PROBES = ("sched", "life", "tasks", "tcp")
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def rows(snapshot: Snapshot, port: Optional[int] = None) -> list[Row]:
    assert snapshot.connections is not None
    found = [row for row in snapshot.connections.rows() if row["state"] != LISTEN]
    return [row for row in found if port is None or port in (row["sport"], row["dport"])]


def look(session: Session, is_there: Callable[[Snapshot], bool]) -> Snapshot:
    """Refreshes until it is so; counters of processes are summed by the test that needs them."""
    end = time.monotonic() + 20
    while True:
        watch(session, 0.05)
        snapshot = session.refresh(cumulative=True)
        if is_there(snapshot):
            return snapshot
        assert time.monotonic() < end, "it does not come about"


def pair(server: socket.socket) -> tuple[socket.socket, socket.socket]:
    out = socket.create_connection(server.getsockname()[:2])
    return out, server.accept()[0]


def drain(taken: socket.socket) -> int:
    total = 0
    while True:
        got = len(taken.recv(65536))
        if not got:
            return total
        total += got


@contextmanager
def namespace() -> Iterator[Callable[..., None]]:
    """Another network namespace for this thread, with a loopback; gone at the end."""
    needs_programs("ip")
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if LIBC.unshare(CLONE_NEWNET):
        pytest.skip(f"no network namespaces: {os.strerror(ctypes.get_errno())}")

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        ip("link", "set", "lo", "up")
        yield ip
    finally:
        assert LIBC.setns(own, CLONE_NEWNET) == 0
        os.close(own)
