# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Bytes that a process is given of a TCP stream: each way to receive, however the stream ends."""

from __future__ import annotations

import array
import os
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lacking
import pytest
from children import child
from connecting import Row, look, rows
from lacking import needs_ipv6
from observe import row_of, workload

from ebtop.model.snapshot import Snapshot
from ebtop.sources.bpf import Session

WAYS = ("read", "readv", "recv", "recvmsg", "recvmmsg", "waitall", "peek", "trunc", "splice",
        "uring", "uring-read", "uring-splice", "zerocopy")  # fmt: skip
ENDS = ("sender", "reader first", "both", "reset")
"""Who says that no more comes, before anything is read; `reset`: the sender is gone with a bang."""
TINY, LARGE = 101, 300_007
SO_RCVBUFFORCE = 33


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(("sched", "life", "tasks", "tcp")) as found:
        found.refresh()
        yield found


@contextmanager
def stream(family: str = "v4") -> Iterator[tuple[socket.socket, socket.socket]]:
    """The sending and the receiving end, with room for all that is sent."""
    if family != "v4":
        needs_ipv6()
    kind = socket.AF_INET if family == "v4" else socket.AF_INET6
    with socket.socket(kind) as server:
        if kind == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
        server.bind(("127.0.0.1" if family == "v4" else "::", 0))
        server.listen()
        port = server.getsockname()[1]
        where = {"v4": "127.0.0.1", "v6": "::1", "mapped": "::ffff:127.0.0.1"}[family]
        out = socket.socket(kind)
        out.connect((where, port))
        taken = server.accept()[0]
    with out, taken:
        yield out, taken


def unread(end: socket.socket) -> int:
    """SIOCINQ."""
    import fcntl
    import termios

    return int(struct.unpack("i", fcntl.ioctl(end, termios.FIONREAD, bytes(4)))[0])


def send_and_end(out: socket.socket, taken: socket.socket, size: int, how: str) -> None:
    """All that will ever come is there afterwards."""
    if how in ("reader first", "both"):
        taken.shutdown(socket.SHUT_WR)
    # whole pages, which can be mapped
    with tempfile.TemporaryFile() as file:
        os.ftruncate(file.fileno(), size)
        sent = 0
        while sent < size:
            sent += os.sendfile(out.fileno(), file.fileno(), sent, size - sent)
    end = time.monotonic() + 20
    while unread(taken) < size:
        assert time.monotonic() < end
        time.sleep(0.001)
    if how == "reset":
        out.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        out.close()
    else:
        out.shutdown(socket.SHUT_WR)
    time.sleep(0.01)


def receive(way: str, taken: socket.socket, who: str = "leader") -> subprocess.Popen[str]:
    fd = taken.fileno()
    command = [workload("receive"), way, str(fd), who]
    return subprocess.Popen(command, pass_fds=[fd], stdout=subprocess.PIPE, text=True)


def given(process: subprocess.Popen[str]) -> int:
    """What it says that it was given."""
    assert process.stdout is not None
    words = process.stdout.readline().split()
    if words[:1] == ["no"]:
        process.wait()
        lacking.from_kernel("such way", " ".join(words[1:]))
    return int(words[1])


def row_with(snapshot: Snapshot, out: Any, taken: Any) -> Row:
    """The receiving end's row, by the ports of both."""
    found = [r for r in rows(snapshot) if (r["sport"], r["dport"]) == (taken, out)]
    assert len(found) == 1, found
    return found[0]


def agree(
    session: Session, process: subprocess.Popen[str], size: int, ports: tuple[int, int]
) -> Row:
    """The process has what it was given, the connection what came; which it returns."""
    told = given(process)

    def is_there(snapshot: Snapshot) -> bool:
        return bool(row_of(snapshot, process.pid)["net_rx_bytes"] == told)

    try:
        snapshot = look(session, is_there)
        row = row_with(snapshot, *ports)
        assert row["rx_bytes"] == size
        return row
    finally:
        process.kill()
        process.wait()


def ports_of(out: socket.socket, taken: socket.socket) -> tuple[int, int]:
    return out.getsockname()[1], taken.getsockname()[1]


@pytest.mark.parametrize("size", (TINY, LARGE))
@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_receive_is_exact(session: Session, way: str, how: str, size: int) -> None:
    with stream() as (out, taken):
        ports = ports_of(out, taken)
        send_and_end(out, taken, size, how)
        process = receive(way, taken)
        taken.close()
        agree(session, process, size, ports)


@pytest.mark.parametrize("family", ("v6", "mapped"))
@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("way", ("recv", "splice", "uring"))
def test_so_it_is_over_ipv6(session: Session, way: str, how: str, family: str) -> None:
    with stream(family) as (out, taken):
        ports = ports_of(out, taken)
        send_and_end(out, taken, LARGE, how)
        process = receive(way, taken)
        row = agree(session, process, LARGE, ports)
        assert row["family"] == (6 if family == "v6" else 4)


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("way", ("read", "splice", "zerocopy"))
def test_a_thread_receives_for_its_process(session: Session, way: str, how: str) -> None:
    with stream() as (out, taken):
        ports = ports_of(out, taken)
        send_and_end(out, taken, LARGE, how)
        process = receive(way, taken, "thread")
        agree(session, process, LARGE, ports)


@pytest.mark.parametrize("way", ("recv", "splice"))
def test_who_is_given_it_counts_not_who_accepted(session: Session, way: str) -> None:
    """This process accepts, uses and keeps the connection; what another reads is that one's."""
    with stream() as (out, taken):
        ports = ports_of(out, taken)
        out.sendall(bytes(TINY))
        assert len(taken.recv(TINY, socket.MSG_WAITALL)) == TINY
        send_and_end(out, taken, LARGE, "both")
        before = row_of(session.refresh(cumulative=True), os.getpid())["net_rx_bytes"]
        process = receive(way, taken)
        agree(session, process, LARGE + TINY, ports)
        after = row_of(session.refresh(cumulative=True), os.getpid())["net_rx_bytes"]
        assert after == before >= TINY


def test_a_passed_descriptor(session: Session) -> None:
    """By SCM_RIGHTS, to a process that has no other way to it."""
    near, far = socket.socketpair()
    reader, writer = os.pipe()

    def work() -> None:
        _, ancillary, _, _ = far.recvmsg(1, socket.CMSG_SPACE(4))
        (fd,) = array.array("i", ancillary[0][2])
        got = 0
        with socket.socket(fileno=fd) as taken:
            while part := len(taken.recv(7919)):
                got += part
        os.write(writer, struct.pack("Q", got))
        near.recv(1)  # never comes

    pid = child(work)
    with stream() as (out, taken), near, far:
        send_and_end(out, taken, LARGE, "both")
        rights = array.array("i", [taken.fileno()])
        near.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        assert struct.unpack("Q", os.read(reader, 8)) == (LARGE,)
        try:
            look(session, lambda s: bool(row_of(s, pid)["net_rx_bytes"] == LARGE))
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


@pytest.mark.parametrize("how", ("close", "reset"))
def test_what_is_left_unread_was_not_received(session: Session, how: str) -> None:
    """The connection has all that came, the process what it took."""
    with stream() as (out, taken):
        ports = ports_of(out, taken)
        send_and_end(out, taken, LARGE, "sender" if how == "close" else "reset")
        before = row_of(session.refresh(cumulative=True), os.getpid())["net_rx_bytes"]
        assert len(taken.recv(TINY)) == TINY
        taken.close()
        snapshot = look(session, lambda s: row_with(s, *ports)["end_ns"] > 0)
        assert row_of(snapshot, os.getpid())["net_rx_bytes"] - before == TINY
        assert row_with(snapshot, *ports)["rx_bytes"] == LARGE
