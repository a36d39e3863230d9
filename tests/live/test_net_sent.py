# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Bytes that a process sends in ways of its own: what the kernel took counts, once, and no more."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import lacking
import pytest
from carrying import agrees, connected, datagrams, needs_sends, received, worker
from connecting import namespace, rows

from ebtop.sources.bpf import Session

MSG_ZEROCOPY, SO_ZEROCOPY, MSG_FASTOPEN = 0x4000000, 60, 0x20000000
UDP_SEGMENT, TCP_FASTOPEN = 103, 23
TOTAL = 300_007


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(("sched", "life", "tasks", "tcp")) as found:
        found.refresh()
        needs_sends(found)
        yield found


def test_sends_that_copy_nothing(session: Session) -> None:
    """MSG_ZEROCOPY; what the kernel tells of them afterwards is received from nobody."""
    with connected() as (out, taken):

        def send() -> tuple[int, int]:
            out.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
            sent = 0
            while sent < TOTAL:
                sent += out.send(bytes(min(32_768, TOTAL - sent)), MSG_ZEROCOPY)
            time.sleep(0.1)
            assert out.recvmsg(101, 1024, socket.MSG_ERRQUEUE)[1]
            return sent, 0

        with worker(send) as found:
            assert received(taken, TOTAL) == TOTAL
            agrees(session, found)


def test_a_send_that_takes_a_part(session: Session) -> None:
    with connected() as (out, _):

        def send() -> tuple[int, int]:
            out.setblocking(False)
            sent = 0
            try:
                while True:
                    sent += out.send(bytes(TOTAL))
            except BlockingIOError:
                return sent, 0

        with worker(send) as found:
            assert found.carried()[0] % TOTAL
            agrees(session, found)


def test_sends_to_who_is_gone(session: Session) -> None:
    """What is refused is not sent; what the kernel took before it knew, is."""
    with connected() as (out, taken):
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        taken.close()

        def send() -> tuple[int, int]:
            sent = 0
            for _ in range(7):
                try:
                    sent += out.send(bytes(101), socket.MSG_NOSIGNAL)
                except OSError:
                    continue
            return sent, 0

        with worker(send) as found:
            assert found.carried()[0] < 7 * 101
            agrees(session, found)


def test_a_splice_into_a_socket(session: Session) -> None:
    with connected() as (out, taken):

        def send() -> tuple[int, int]:
            reader, writer = os.pipe()
            sent = 0
            while sent < TOTAL:
                part = os.write(writer, bytes(min(4096, TOTAL - sent)))
                while part:
                    moved = os.splice(reader, out.fileno(), part)
                    part -= moved
                    sent += moved
            return sent, 0

        reading = threading.Thread(target=lambda: received(taken, TOTAL))
        reading.start()
        with worker(send) as found:
            reading.join()
            agrees(session, found)


def test_many_datagrams_in_one_send(session: Session) -> None:
    """UDP_SEGMENT: the kernel cuts it, and each part is received by itself."""
    with datagrams() as (one, two):
        try:
            one.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1009)
        except OSError as error:
            lacking.from_kernel("UDP_SEGMENT", error)

        def send() -> tuple[int, int]:
            return sum(one.send(bytes(1009 * 13)) for _ in range(7)), 0

        with worker(send) as up, worker(lambda: (0, received(two, 7 * 13 * 1009))) as down:
            agrees(session, up)
            agrees(session, down)


def test_data_in_the_first_segment(session: Session) -> None:
    """TCP Fast Open: read before the handshake is done, and counted from its first byte."""
    with namespace(), socket.socket() as server, socket.socket() as out:
        # both sides, without a cookie
        Path("/proc/sys/net/ipv4/tcp_fastopen").write_text(str(0x1 | 0x2 | 0x4 | 0x200 | 0x400))
        server.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, 5)
        server.bind(("127.0.0.1", 0))
        server.listen()

        def send() -> tuple[int, int]:
            sent = out.sendto(bytes(1009), MSG_FASTOPEN, server.getsockname())
            return sent + out.send(bytes(101)), 0

        def take() -> tuple[int, int]:
            taken, _ = server.accept()
            got = received(taken, 1009 + 101)
            # the worker stays, and so does what it accepted
            held.append(taken)
            return 0, got

        held: list[socket.socket] = []
        with worker(take) as down, worker(send) as up:
            agrees(session, up)
            snapshot = agrees(session, down)
            port = server.getsockname()[1]
            found = {r["sport"] == port: (r["tx_bytes"], r["rx_bytes"], r["pid"])
                     for r in rows(snapshot, port)}  # fmt: skip
            assert found == {True: (0, 1110, down.pid), False: (1110, 0, up.pid)}
