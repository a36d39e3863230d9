# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Whose an open connection is: who has it, though another process used it last; nobody's else."""

from __future__ import annotations

import array
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Optional

import lacking
import pytest
from children import child, successor_of
from connecting import PROBES, Row, look, pair, rows
from observe import row_of

from ebtop.model.connection_table import is_left
from ebtop.model.layout import EXITED
from ebtop.model.snapshot import Snapshot
from ebtop.outputs import sample_json
from ebtop.sources.bpf import Session

IPPROTO_MPTCP = 262


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(PROBES) as found:
        found.refresh()
        yield found


@contextmanager
def running(work: Callable[[], None]) -> Iterator[int]:
    """A forked process that works, and then stays; its pid."""

    def stay() -> None:
        work()
        signal.pause()

    pid = child(stay)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def owner(snapshot: Snapshot, end: tuple[int, int]) -> Optional[int]:
    """Of the open connection with these ports, its own first."""
    found = [r for r in rows(snapshot) if (r["sport"], r["dport"]) == end and not r["end_ns"]]
    assert len(found) == 1, found
    return None if is_left(found[0]) else found[0]["pid"] or None


def end_of(sock: socket.socket) -> tuple[int, int]:
    return sock.getsockname()[1], sock.getpeername()[1]


def test_a_connection_whose_user_has_ended_is_the_ones_who_have_it(session: Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        out, taken = pair(server)
        with out, taken:
            end = end_of(taken)
            with running(lambda: taken.sendall(b"x")) as pid:
                look(session, lambda s: owner(s, end) == pid)
            snapshot = look(session, lambda s: owner(s, end) == os.getpid())
            assert row_of(snapshot, os.getpid())["connections"] >= 2


def test_so_is_one_that_its_user_has_closed(session: Session) -> None:
    """Who was given it by SCM_RIGHTS has done nothing with it yet."""
    near, far = socket.socketpair()

    def take() -> None:
        far.recvmsg(1, socket.CMSG_SPACE(4))

    with socket.create_server(("127.0.0.1", 0)) as server, near, far, running(take) as pid:
        out, taken = pair(server)
        taken.sendall(b"x")
        end = end_of(taken)
        look(session, lambda s: owner(s, end) == os.getpid())
        rights = array.array("i", [taken.fileno()])
        near.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        taken.close()
        # that nobody used yet, so somebody looks
        another = pair(server)
        look(session, lambda s: owner(s, end) == pid)
        for sock in (out, *another):
            sock.close()


def unread(out: socket.socket) -> None:
    """Sends until there is no room any more: it will have no end while nobody reads."""
    out.setblocking(False)
    try:
        while True:
            out.send(bytes(65536))
    except BlockingIOError:
        pass


def comm() -> str:
    return Path("/proc/self/comm").read_text().strip()


def json_row(snapshot: Snapshot, end: tuple[int, int]) -> Row:
    (row,) = (r for r in rows(snapshot) if (r["sport"], r["dport"]) == end)
    return sample_json.connection(row, snapshot.taken_ns)


def test_what_nobody_has_any_more_is_nobodys(session: Session) -> None:
    """The process that closed it lives; the kernel sends on what it sent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        out, taken = pair(server)
        unread(out)
        end = end_of(out)
        look(session, lambda s: owner(s, end) == os.getpid())
        out.close()
        snapshot = look(session, lambda s: owner(s, end) is None)
        found = json_row(snapshot, end)
        assert (found["left"], found["state"]) == (True, "FIN_WAIT1")
        # who had it last
        assert (found["pid"], found["comm"]) == (os.getpid(), comm())
        taken.close()


def test_the_next_process_with_that_number_has_none_of_it(session: Session) -> None:
    """What a process left behind when it ended is not that one's who gets its pid."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        out, taken = pair(server)
        end = end_of(out)
        reader, writer = os.pipe()

        def work() -> None:
            unread(out)
            os.write(writer, b".")
            signal.pause()

        pid = child(work)
        assert os.read(reader, 1) == b"."
        out.close()
        look(session, lambda s: owner(s, end) == pid)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        after = successor_of(pid, lambda: time.sleep(60))
        try:
            snapshot = look(session, lambda s: owner(s, end) is None)
            mine = [r for r in snapshot.processes.rows() if r["pid"] == pid]
            assert [r["connections"] for r in mine if not r["flags"] & EXITED] == [0]
        finally:
            os.kill(after, signal.SIGKILL)
            os.waitpid(after, 0)
        taken.close()


def mptcp_pair() -> tuple[socket.socket, socket.socket, socket.socket]:
    """Server, and both ends, where the kernel has it."""
    kind = (socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)
    try:
        server, out = socket.socket(*kind), socket.socket(*kind)
    except OSError as error:
        lacking.from_kernel("MPTCP", error)
    server.bind(("127.0.0.1", 0))
    server.listen()
    out.connect(server.getsockname())
    return server, out, server.accept()[0]


def test_an_accepted_connection_of_mptcp_has_an_owner(session: Session) -> None:
    server, out, taken = mptcp_pair()
    with server, out, taken:
        ends = end_of(taken), end_of(out)
        before = row_of(session.refresh(cumulative=True), os.getpid())
        with running(lambda: taken.sendall(taken.recv(1009, socket.MSG_WAITALL))) as pid:
            out.sendall(bytes(1009))
            assert len(out.recv(1009, socket.MSG_WAITALL)) == 1009
            snapshot = look(session, lambda s: [owner(s, e) for e in ends] == [pid, os.getpid()])
            row = row_of(snapshot, pid)
            assert row["net_tx_bytes"] == row["net_rx_bytes"] == 1009
            assert row["connections"] == row["connections_accepted"] == 1
            mine = row_of(snapshot, os.getpid())
            for name in ("net_tx_bytes", "net_rx_bytes"):
                assert mine[name] - before[name] == 1009
        # it was inherited
        look(session, lambda s: owner(s, ends[0]) == os.getpid())


def test_an_mptcp_connection_that_nobody_used_yet(session: Session) -> None:
    server, out, taken = mptcp_pair()
    with server, out, taken:
        end = end_of(taken)
        look(session, lambda s: owner(s, end) == os.getpid())
