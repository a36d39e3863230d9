# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A filter names a process, not whoever gets its number next."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from children import child, successor_of

from ebtop.model.filters import KernelFilter, RowFilter
from ebtop.model.layout import EVENT_TYPES
from ebtop.model.rows import RowQuery
from ebtop.model.snapshot import Snapshot
from ebtop.outputs import sample_json
from ebtop.sources.bpf import Session

PROBES = ("sched", "life", "tasks", "open", "tcp", "syscall")


def when_told(work: Callable[[], None]) -> tuple[int, Callable[[], None]]:
    """A forked process; and what makes it work, and waits until it has ended."""
    reader, writer = os.pipe()

    def wait() -> None:
        os.read(reader, 1)
        work()

    pid = child(wait)

    def go() -> None:
        os.write(writer, b".")
        os.waitpid(pid, 0)

    return pid, go


@contextmanager
def successor(pid: int, work: Callable[[], None]) -> Iterator[None]:
    """Another process of that number has worked, and stays."""
    reader, writer = os.pipe()

    def stay() -> None:
        work()
        os.write(writer, b".")
        signal.pause()

    found = successor_of(pid, stay)
    os.read(reader, 1)
    try:
        yield
    finally:
        os.kill(found, signal.SIGKILL)
        os.waitpid(found, 0)


def opens(times: int) -> Callable[[], None]:
    def work() -> None:
        for _ in range(times):
            os.close(os.open("/dev/null", os.O_RDONLY))

    return work


def shown(snapshot: Snapshot, pid: int) -> dict[str, Any]:
    query = RowQuery(filter=RowFilter(pids=frozenset((pid,))))
    found: dict[str, Any] = json.loads(sample_json.sample_line(snapshot, query))
    return found


def test_the_kernel_sees_no_more_of_that_number() -> None:
    """Opens that are streamed, system calls that are counted: none of the next one's."""
    pid, go = when_told(opens(11))
    with Session(PROBES, filter=KernelFilter(pid=pid)) as session:
        session.refresh()
        go()
        with successor(pid, opens(13)):
            snapshot = session.refresh()
            kind = EVENT_TYPES.index("open")
            found = [row for row in snapshot.events.rows() if row["type"] == kind]
            assert [row["pid"] for row in found] == [pid] * 11
            first = snapshot.syscalls
            assert first is not None and sum(first.column("calls")) > 0
            opens(17)()
            snapshot = session.refresh()
            assert snapshot.syscalls is not None
            assert sum(snapshot.syscalls.column("calls")) == 0
            assert snapshot.filter.pid == pid


def test_rows_are_the_named_process_alone() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=8) as server:
        port = server.getsockname()[1]
        held = []

        def connect() -> None:
            held.append(socket.create_connection(("127.0.0.1", port)))
            held[-1].send(b"x")

        pid, go = when_told(connect)
        with Session(PROBES, filter=KernelFilter(pid=pid)) as session:
            session.refresh()
            session.refresh()
            go()
            with successor(pid, connect):
                sample = shown(session.refresh(), pid)
                (row,) = sample["processes"]
                assert row["exited"] and row["net_tx_bytes"] == 1
                assert len([c for c in sample["connections"] if c["dport"] == port]) == 1
                sample = shown(session.refresh(), pid)
                assert sample["processes"] == []
                assert len([c for c in sample["connections"] if c["dport"] == port]) == 1
