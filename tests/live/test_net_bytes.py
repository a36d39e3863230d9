# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Bytes of processes by each way to the network, exact; the numbers (s01...) are the scenarios of
Picosnitch's public list, as docs/network.md has them.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

import lacking
import pytest
from carrying import agrees, connected, datagrams, needs_sends, received, worker
from children import child
from connecting import PROBES, drain, look, namespace, rows
from lacking import needs_programs
from observe import row_of, watch, workload

from ebtop.model.connection_table import is_closed
from ebtop.model.layout import EXITED
from ebtop.model.snapshot import Snapshot
from ebtop.sources.bpf import Session

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET, CLONE_NEWPID = 0x40000000, 0x20000000
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
DATAGRAM = 1009
TOTAL = 500_009
DATAGRAMS = 101


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(PROBES) as found:
        found.refresh()
        yield found


# ---- TCP: s01 s02 s03 s07 s16 s18 ----


@pytest.mark.parametrize("family", (socket.AF_INET, socket.AF_INET6))
def test_upload_and_download(session: Session, family: int) -> None:
    """s01, s02, s07, s16: one process sends, the other receives."""
    needs_sends(session)
    with connected(family) as (out, taken):

        def send() -> tuple[int, int]:
            out.sendall(bytes(TOTAL))
            return TOTAL, 0

        with worker(send) as up, worker(lambda: (0, received(taken, TOTAL))) as down:
            agrees(session, up)
            snapshot = agrees(session, down)
            port = taken.getsockname()[1]
            found = {r["sport"]: (r["tx_bytes"], r["pid"]) for r in rows(snapshot, port)}
            assert found[out.getsockname()[1]] == (TOTAL, up.pid)
            assert found[port] == (0, down.pid)


def test_iperf3_agrees_with_its_own_account(session: Session) -> None:
    """s02: what its two processes say that they wrote and read, to the byte."""
    needs_sends(session)
    needs_programs("iperf3")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["iperf3", "-J", "-p", str(port)]
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "text": True}
    server = subprocess.Popen([*words, "-s", "-1"], **options)
    look(session, lambda s: port in s.connections.column("sport"))  # type: ignore[union-attr]
    total = str(10_000_019)
    client = subprocess.Popen([*words, "-c", "127.0.0.1", "-n", total], **options)
    said = [json.loads(process.communicate()[0])["end"] for process in (client, server)]
    carried = totals_at_end(session, [client.pid, server.pid], "net_tx_bytes", "net_rx_bytes")
    # beside the stream, which begins with 37 bytes, there is a connection that controls it
    snapshot = look(session, lambda s: sum(map(is_closed, rows(s, port))) == 4)
    found = [row for row in rows(snapshot, port) if is_closed(row)]
    (control,) = (row for row in found if row["dport"] == port and row["rx_bytes"])
    (stream,) = (row for row in found if row["dport"] == port and not row["rx_bytes"])
    written, read = (each["streams"][0][end]["bytes"]
                     for each, end in zip(said, ("sender", "receiver")))  # fmt: skip
    assert carried[client.pid] == (written + 37 + control["tx_bytes"], control["rx_bytes"])
    assert carried[server.pid] == (control["rx_bytes"], read + 37 + control["tx_bytes"])
    # what was on its way when the server had enough is in neither
    assert read + 37 <= stream["tx_bytes"] <= written + 37 and stream["pid"] == client.pid


def test_both_ways_at_once(session: Session) -> None:
    """s03."""
    needs_sends(session)
    with connected() as (out, taken):

        def talk(end: socket.socket, total: int, wanted: int) -> tuple[int, int]:
            sender = threading.Thread(target=lambda: end.sendall(bytes(total)))
            sender.start()
            got = received(end, wanted)
            sender.join()
            return total, got

        one = worker(lambda: talk(out, TOTAL, 300_007))
        other = worker(lambda: talk(taken, 300_007, TOTAL))
        with one as first, other as second:
            agrees(session, first)
            agrees(session, second)


def test_a_drip_adds_up(session: Session) -> None:
    """s18: 101 bytes at a time, over many refreshes."""
    needs_sends(session)
    with connected() as (out, taken):

        def drip() -> tuple[int, int]:
            for _ in range(53):
                out.sendall(bytes(101))
                time.sleep(0.01)
            return 53 * 101, 0

        with worker(drip) as found:
            for _ in range(5):
                watch(session, 0.1)
                session.refresh(cumulative=True)
            agrees(session, found)
            assert received(taken, 53 * 101) == 53 * 101


# ---- ways past read and write: s13 s14 s15 s21 s22 s23 ----


def test_sendfile(session: Session) -> None:
    """s14."""
    needs_sends(session)
    with connected() as (out, taken), tempfile.TemporaryFile() as file:
        os.ftruncate(file.fileno(), TOTAL)

        def send() -> tuple[int, int]:
            sent = 0
            while sent < TOTAL:
                sent += os.sendfile(out.fileno(), file.fileno(), sent, TOTAL - sent)
            return sent, 0

        with worker(send) as found:
            received(taken, TOTAL)
            agrees(session, found)


def test_splice(session: Session) -> None:
    """s22: from a socket into a pipe, into another socket."""
    needs_sends(session)
    with connected() as (source, near), connected() as (far, sink):

        def carry() -> tuple[int, int]:
            reader, writer = os.pipe()
            carried = 0
            while carried < TOTAL:
                got = os.splice(near.fileno(), writer, min(32768, TOTAL - carried))
                carried += got
                while got:
                    got -= os.splice(reader, far.fileno(), got)
            return carried, carried

        with worker(carry) as found:
            sender = threading.Thread(target=lambda: source.sendall(bytes(TOTAL)))
            sender.start()
            received(sink, TOTAL)
            sender.join()
            agrees(session, found)


def carry(way: str, end: socket.socket, total: int) -> subprocess.Popen[str]:
    command = [workload("carry"), way, str(end.fileno()), str(total)]
    return subprocess.Popen(
        command, pass_fds=[end.fileno()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def told(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    said = process.stdout.readline().strip()
    if said != "done":
        lacking.from_kernel("such way", said)


def carried(session: Session, process: subprocess.Popen[str], sent: int, got: int) -> None:
    def is_there(snapshot: Snapshot) -> bool:
        row = row_of(snapshot, process.pid)
        return bool((row["net_tx_bytes"], row["net_rx_bytes"]) == (sent, got))

    try:
        look(session, is_there)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("way", ("uring-send", "uring-async"))
def test_io_uring_sends(session: Session, way: str) -> None:
    """s13."""
    needs_sends(session)
    with connected() as (out, taken):
        reader = threading.Thread(target=lambda: drain(taken))
        reader.start()
        process = carry(way, out, TOTAL)
        out.close()
        told(process)
        workers = {Path(f"/proc/{process.pid}/task/{tid}/comm").read_text().split("-")[0]
                   for tid in os.listdir(f"/proc/{process.pid}/task")}  # fmt: skip
        if way == "uring-async" and "iou" not in workers:
            process.kill()
            process.wait()
            pytest.xfail("this kernel's workers of io_uring are threads of the kernel itself")
        carried(session, process, TOTAL, 0)
        reader.join()


def test_io_uring_receives(session: Session) -> None:
    """s21."""
    with connected() as (out, taken):
        process = carry("uring-recv", taken, TOTAL)
        taken.close()
        sender = threading.Thread(target=lambda: out.sendall(bytes(TOTAL)))
        sender.start()
        told(process)
        sender.join()
        carried(session, process, 0, TOTAL)


@pytest.mark.parametrize("way", ("sendmmsg", "recvmmsg"))
def test_many_datagrams_a_call(session: Session, way: str) -> None:
    """s15, s23."""
    needs_sends(session)
    total = DATAGRAMS * DATAGRAM
    with datagrams() as (one, two):
        process = carry(way, one if way == "sendmmsg" else two, total)
        for _ in range(DATAGRAMS if way == "recvmmsg" else 0):
            one.send(bytes(DATAGRAM))
        told(process)
        sent = total if way == "sendmmsg" else 0
        carried(session, process, sent, total - sent)


# ---- protocols: s04 s05 s06 s08 s09 s10 s12 s24 ----


@pytest.mark.parametrize("family, port", ((socket.AF_INET, 0), (socket.AF_INET6, 0),
                                          (socket.AF_INET, 443), (socket.AF_INET, 53)))  # fmt: skip
def test_udp_both_ways(session: Session, family: int, port: int) -> None:
    """s04, s24; s06 and s09 by their ports, the latter in small datagrams."""
    needs_sends(session)
    size = 64 if port == 53 else DATAGRAM
    with namespace(), datagrams(family, port) as (one, two):

        def ask() -> tuple[int, int]:
            got = 0
            for _ in range(DATAGRAMS):
                one.send(bytes(size))
                got += len(one.recv(65536))
            return DATAGRAMS * size, got

        def answer() -> tuple[int, int]:
            got = 0
            for number in range(DATAGRAMS):
                got += len(two.recv(65536))
                two.send(bytes(number))
            return sum(range(DATAGRAMS)), got

        with worker(ask) as client, worker(answer) as server:
            agrees(session, client)
            agrees(session, server)


def test_echo_requests_and_replies(session: Session) -> None:
    """s05."""
    needs_sends(session)

    def ping() -> tuple[int, int]:
        request = struct.pack("!BBHHH", 8, 0, 0, 101, 1) + bytes(DATAGRAM)
        words = sum(struct.unpack(f"!{len(request) // 2}H", request[: len(request) // 2 * 2]))
        words = (words & 0xFFFF) + (words >> 16)
        request = struct.pack("!BBHHH", 8, 0, ~words & 0xFFFF, 101, 1) + bytes(DATAGRAM)
        sent = got = 0
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as end:
            for _ in range(DATAGRAMS):
                sent += end.sendto(request, ("127.0.0.1", 0))
                # on the loopback it sees its own requests, too
                got += len(end.recv(65536)) + len(end.recv(65536))
        return sent, got

    with namespace(), worker(ping) as found:
        assert found.carried() == (DATAGRAMS * 1017, DATAGRAMS * 2 * (20 + 1017))
        agrees(session, found)


def test_sctp(session: Session) -> None:
    """s08."""
    needs_sends(session)
    sctp = (socket.AF_INET, socket.SOCK_STREAM, 132)
    try:
        server = socket.socket(*sctp)
    except OSError as error:
        lacking.from_kernel("SCTP", error)
    with server, socket.socket(*sctp) as out:
        server.bind(("127.0.0.1", 0))
        server.listen()
        out.connect(server.getsockname())
        taken, _ = server.accept()

        def send() -> tuple[int, int]:
            return sum(out.send(bytes(DATAGRAM)) for _ in range(DATAGRAMS)), 0

        total = DATAGRAMS * DATAGRAM
        with taken, worker(send) as up, worker(lambda: (0, received(taken, total))) as down:
            agrees(session, up)
            agrees(session, down)


def test_a_raw_protocol(session: Session) -> None:
    """s10."""
    needs_sends(session)

    def send() -> tuple[int, int]:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, 253) as end:
            return sum(end.sendto(bytes(101), ("127.0.0.1", 0)) for _ in range(53)), 0

    with namespace(), worker(send) as found:
        assert found.carried()[0] == 53 * 101
        agrees(session, found)


def test_frames_past_all_protocols(session: Session) -> None:
    """s12: what is sent counts; what is captured is a copy of others' and does not."""
    if not any("sock_send_length" in probe.hook for probe in session.refresh().probes):
        pytest.xfail("before Linux 6.3 nothing tells of packet sockets")

    def send() -> tuple[int, int]:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003)) as end:
            end.bind(("lo", 0))
            sent = sum(end.send(bytes(12) + b"\x88\xb5" + bytes(101)) for _ in range(53))
            assert end.recv(65536)
            return sent, 0

    with namespace(), worker(send) as found:
        assert found.carried()[0] == 53 * 115
        agrees(session, found)


# ---- who: s11 s17 s19 s20 ----


def totals_at_end(session: Session, pids: Sequence[int], *names: str) -> dict[int, tuple[int, ...]]:
    """These counters of processes that ended, by pid."""
    found: dict[int, tuple[int, ...]] = {}

    def all_there(snapshot: Snapshot) -> bool:
        for row in snapshot.processes.rows():
            if row["flags"] & EXITED and row["pid"] in pids:
                found[row["pid"]] = tuple(row[name] for name in names)
        return len(found) == len(set(pids))

    look(session, all_there)
    return found


def test_processes_that_live_for_a_moment(session: Session) -> None:
    """s11: connect, send, exit."""
    needs_sends(session)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        where = server.getsockname()
        pids = []
        for number in range(23):

            def work(total: int = 1009 + number) -> None:
                with socket.create_connection(where) as out:
                    out.sendall(bytes(total))

            pid = child(work)
            with server.accept()[0] as taken:
                assert drain(taken) == 1009 + number
            os.waitpid(pid, 0)
            pids.append(pid)
        sent = totals_at_end(session, pids, "net_tx_bytes")
        assert sent == {pid: (1009 + number,) for number, pid in enumerate(pids)}


def test_a_burst_of_processes(session: Session) -> None:
    """s19, s20: 31 at once, two connections each."""
    needs_sends(session)
    each = 65_537
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        where = server.getsockname()

        def work() -> None:
            for _ in range(2):
                with socket.create_connection(where) as out:
                    out.sendall(bytes(each))

        def serve() -> None:
            for _ in range(62):
                with server.accept()[0] as taken:
                    assert drain(taken) == each

        serving = threading.Thread(target=serve)
        serving.start()
        pids = [child(work) for _ in range(31)]
        for pid in pids:
            os.waitpid(pid, 0)
        serving.join()
        assert set(totals_at_end(session, pids, "net_tx_bytes").values()) == {(2 * each,)}
        # both have said that they are done a moment before the last answer is there
        snapshot = look(session, lambda s: sum(map(is_closed, rows(s, where[1]))) >= 124)
        mine = [r for r in rows(snapshot, where[1]) if r["dport"] == where[1] and is_closed(r)]
        assert {row["tx_bytes"] for row in mine} == {each} and len(mine) == 62
        assert sorted(row["pid"] for row in mine) == sorted(pids * 2)


def test_a_container(session: Session) -> None:
    """s17: its own network behind a pair of devices, its own pids."""
    needs_sends(session)
    go, told_to = os.pipe()
    with namespace() as ip:
        ip("link", "add", "near", "type", "veth", "peer", "name", "far")
        ip("addr", "add", "10.99.0.1/24", "dev", "near")
        ip("link", "set", "near", "up")
        with socket.create_server(("10.99.0.1", 0)) as server:
            server.settimeout(60)
            where = server.getsockname()

            def contained() -> None:
                assert LIBC.unshare(CLONE_NEWNET) == 0
                assert os.read(go, 1)
                for words in (("addr", "add", "10.99.0.2/24", "dev", "far"),
                              ("link", "set", "far", "up")):  # fmt: skip
                    subprocess.run(["ip", *words], check=True, close_fds=False)
                # the first process of a pid namespace takes all others with it
                assert LIBC.unshare(CLONE_NEWPID) == 0
                ours = child(lambda: send_all(where, TOTAL))
                assert os.waitpid(ours, 0)[1] == 0

            pid = child(contained)
            while _namespace(pid) == _namespace(os.getpid(), threading.get_native_id()):
                time.sleep(0.01)
            ip("link", "set", "far", "netns", str(pid))
            os.write(told_to, b".")
            with server.accept()[0] as taken:
                assert drain(taken) == TOTAL
            assert os.waitpid(pid, 0)[1] == 0

            def is_there(snapshot: Snapshot) -> bool:
                return sum(map(is_closed, rows(snapshot, where[1]))) == 2

            snapshot = look(session, is_there)
            (sent,) = (r for r in rows(snapshot, where[1]) if r["dport"] == where[1])
            (got,) = (r for r in rows(snapshot, where[1]) if r["sport"] == where[1])
            assert (sent["tx_bytes"], got["rx_bytes"], got["pid"]) == (TOTAL, TOTAL, os.getpid())
            assert sent["pid"] not in (0, pid, os.getpid()) and sent["netns"] != got["netns"]
    os.close(go)
    os.close(told_to)


def send_all(where: tuple[Any, ...], total: int) -> None:
    with socket.create_connection(where) as out:
        out.sendall(bytes(total))


def _namespace(pid: int, tid: Optional[int] = None) -> int:
    return os.stat(f"/proc/{pid}/task/{tid or pid}/ns/net").st_ino
