# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""TCP on bad days: scans, storms of connections, sockets that outlive their process, pids that are
given again. No wrong owner, nothing lost without being counted, no growth.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from children import child, ended
from connecting import Row, drain, look, namespace, pair, rows
from observe import fewer, row_of, watch

from ebtop.model.connection_table import LISTEN, close_reason, is_closed
from ebtop.model.snapshot import Snapshot
from ebtop.sources.bpf import Session

PROBES = ("sched", "life", "tasks", "tcp")
KEPT = 4096
"""As in csrc/shared/connections.c: so many that ended are shown, at most."""
CONNECTOR = Path(__file__).resolve().parents[1] / "bench" / "connector.c"


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(PROBES) as found:
        found.refresh()
        yield found


def lost(snapshot: Snapshot) -> dict[str, int]:
    return {name: count for name, count in snapshot.self_cost.lost_total.items() if count}


def open_ones(snapshot: Snapshot, port: int) -> list[Row]:
    return [row for row in rows(snapshot, port) if not is_closed(row)]


def test_a_scan_of_closed_ports_leaves_nothing(session: Session) -> None:
    count = fewer(6007)

    def scan() -> None:
        for number in range(count):
            with socket.socket() as end:
                assert end.connect_ex(("127.0.0.1", 1 + number % 20_000)) != 0
        signal.pause()

    with namespace():
        pid = child(scan)
        snapshot = look(session, lambda s: row_of(s, pid)["connection_errors"] >= count)
        row = row_of(snapshot, pid)
        assert row["connections_opened"] == row["connection_errors"] == count
        assert row["connections"] == 0 and not lost(snapshot)
        assert snapshot.connections is not None
        mine = [r for r in snapshot.connections.rows() if r["pid"] == pid]
        assert {close_reason(r) for r in mine} == {"refused"}
        assert min(count, KEPT) - 64 <= len(mine) <= KEPT
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _syn(sport: int, dport: int) -> bytes:
    """A segment that asks for a connection on the loopback."""
    local = socket.inet_aton("127.0.0.1")
    head = struct.pack("!HHIIBBHHH", sport, dport, 1, 0, 5 << 4, 2, 1024, 0, 0)
    total = local + local + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(head)) + head
    words = sum(struct.unpack(f"!{len(total) // 2}H", total))
    words = (words & 0xFFFF) + (words >> 16)
    check = ~((words & 0xFFFF) + (words >> 16)) & 0xFFFF
    return head[:16] + struct.pack("!H", check) + head[18:]


def test_half_open_connections_are_nobodys(session: Session) -> None:
    """A scan by raw segments, of which every tenth meets somebody who listens."""
    with namespace(), socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
        with raw:
            for number in range(2003):
                target = port if number % 10 == 0 else 1 + number
                raw.sendto(_syn(20_000 + number, target), ("127.0.0.1", 0))
        watch(session, 0.2)
        snapshot = session.refresh(cumulative=True)
        assert rows(snapshot, port) == [] and not lost(snapshot)
        # and one that is whole is seen as ever
        with pair(server)[0] as out:
            port_of_it = out.getsockname()[1]
            snapshot = look(session, lambda s: bool(rows(s, port_of_it)))
            assert {r["sport"] for r in rows(snapshot, port)} == {port, port_of_it}


@pytest.fixture(scope="module")
def connector(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("connector") / "connector")
    subprocess.run(["cc", "-O2", "-pthread", "-o", path, str(CONNECTOR)], check=True)
    return path


def test_a_storm_of_connections_is_counted_to_the_last(session: Session, connector: str) -> None:
    count = fewer(40_009)
    process = subprocess.Popen([connector, "short", str(count), "20000"], stdout=subprocess.PIPE)
    opened = accepted = sent = 0

    def add(snapshot: Snapshot) -> None:
        nonlocal opened, accepted, sent
        for row in snapshot.processes.rows():
            if row["pid"] == process.pid:
                opened += row["connections_opened"]
                accepted += row["connections_accepted"]
                sent += row["net_rx_bytes"]
        assert snapshot.connections is not None
        closed = sum(map(is_closed, snapshot.connections.rows()))
        assert closed <= KEPT

    while process.poll() is None:
        watch(session, 0.2)
        add(session.refresh())
    assert process.returncode == 0
    for _ in range(4):
        watch(session, 0.1)
        snapshot = session.refresh()
        add(snapshot)
    # an end that found the buffer full is counted; who opened and sent does not depend on it
    assert (opened, accepted, sent) == (count, count, count)
    assert snapshot.connections is not None
    mine = [r for r in snapshot.connections.rows() if r["pid"] == process.pid]
    assert all(is_closed(r) for r in mine) and set(lost(snapshot)) <= {"ring_buffer"}


def test_a_socket_that_outlives_its_process_stays_its_own(session: Session) -> None:
    """What it had not sent yet goes on being sent when it is gone."""
    total = 3_000_017
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]

        def send_and_go() -> None:
            out = socket.socket()
            out.setsockopt(socket.SOL_SOCKET, 32, 4 << 20)  # SO_SNDBUFFORCE
            out.connect(("127.0.0.1", port))
            out.sendall(bytes(total))

        pid = child(send_and_go)
        taken = server.accept()[0]
        ended(pid)

        def is_orphan(snapshot: Snapshot) -> bool:
            found = [r for r in open_ones(snapshot, port) if r["dport"] == port]
            return len(found) == 1 and found[0]["state"] != 1

        snapshot = look(session, is_orphan)
        (orphan,) = (r for r in open_ones(snapshot, port) if r["dport"] == port)
        assert orphan["pid"] == pid and 0 < orphan["tx_bytes"] < total
        # another process of that pid does not have it
        again = _again(pid, port)
        try:
            snapshot = look(session, lambda s: row_of(s, again)["connections"] == 1)
            owners = {r["owner_start_ns"] for r in open_ones(snapshot, port) if r["pid"] == pid}
            assert len(owners) == (2 if again == pid else 1)
            assert row_of(snapshot, again)["net_tx_bytes"] == 101
            assert drain(taken) == total
            taken.close()
            snapshot = look(
                session,
                lambda s: any(
                    is_closed(r) and r["socket"] == orphan["socket"] for r in rows(s, port)
                ),
            )
            (over,) = (r for r in rows(snapshot, port) if r["socket"] == orphan["socket"])
            assert (over["pid"], over["tx_bytes"]) == (pid, total)
            assert over["owner_start_ns"] == orphan["owner_start_ns"]
        finally:
            os.kill(again, signal.SIGKILL)
            os.waitpid(again, 0)


def _again(pid: int, port: int) -> int:
    """A process with a connection of its own, of the same pid when the kernel gives it again."""

    def talk() -> None:
        with socket.create_connection(("127.0.0.1", port)) as out:
            out.sendall(bytes(101))
            signal.pause()

    for _ in range(20):
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        found = os.fork()
        if not found:
            if os.getpid() == pid:
                talk()
            os._exit(0)
        if found == pid:
            return found
        os.waitpid(found, 0)
    return child(talk)


def test_a_pre_forked_server_has_its_workers(session: Session) -> None:
    """Five processes accept from one socket; each connection is that of the one who answered."""
    count = fewer(211)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            while True:
                with server.accept()[0] as taken:
                    taken.recv(100)
                    taken.sendall(struct.pack("I", os.getpid()))
                    assert taken.recv(1) == b""

        workers = [child(serve) for _ in range(5)]
        answered = {}
        for _ in range(count):
            with socket.create_connection(("127.0.0.1", port)) as out:
                out.sendall(b"who")
                answered[out.getsockname()[1]] = struct.unpack("I", out.recv(4))[0]
            session.poll()
        snapshot = look(session, lambda s: sum(map(is_closed, rows(s, port))) == 2 * count)
        served = [r for r in rows(snapshot, port) if r["sport"] == port and is_closed(r)]
        assert {r["dport"]: r["pid"] for r in served} == answered
        accepted = {pid: row_of(snapshot, pid)["connections_accepted"] for pid in workers}
        assert accepted == {pid: Counter(answered.values())[pid] for pid in workers}
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def test_no_route_and_no_neighbour(session: Session) -> None:
    """What never sets out is no connection; what nobody answers on the wire is unreachable."""
    with namespace() as ip:
        ip("link", "add", "near", "type", "veth", "peer", "name", "far")
        ip("addr", "add", "10.99.0.1/24", "dev", "near")
        ip("link", "set", "near", "up")
        ip("link", "set", "far", "up")
        with socket.socket() as end, pytest.raises(OSError):
            end.connect(("192.0.2.1", 80))
        before = row_of(session.refresh(cumulative=True), os.getpid())
        assert before["connections_opened"] == 0
        threads = [threading.Thread(target=_connect_to_nobody) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        def are_over(snapshot: Snapshot) -> bool:
            found = [r for r in rows(snapshot, 8081) if is_closed(r)]
            return len(found) == 3

        snapshot = look(session, are_over)
        assert {close_reason(r) for r in rows(snapshot, 8081)} == {"unreachable"}
        assert {r["pid"] for r in rows(snapshot, 8081)} == {os.getpid()}
        assert row_of(snapshot, os.getpid())["connection_errors"] == 3


def _connect_to_nobody() -> None:
    # threads are of the namespace of who started them
    with socket.socket() as end, pytest.raises(OSError):
        end.connect(("10.99.0.77", 8081))


def test_listening_sockets_show_who_waits(session: Session) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=13) as server:
        port = server.getsockname()[1]
        waiting = [socket.create_connection(("127.0.0.1", port)) for _ in range(7)]

        def listener(snapshot: Snapshot) -> Row:
            assert snapshot.connections is not None
            found = [r for r in snapshot.connections.rows()
                     if r["state"] == LISTEN and r["sport"] == port]  # fmt: skip
            return found[0] if len(found) == 1 else {"backlog": None}

        snapshot = look(session, lambda s: listener(s)["backlog"] == 7)
        assert listener(snapshot)["backlog_max"] == 13
        assert listener(snapshot)["pid"] == os.getpid()
        taken = [server.accept()[0] for _ in range(7)]
        look(session, lambda s: listener(s)["backlog"] == 0)
        for end in (*waiting, *taken):
            end.close()
    time.sleep(0.01)
    snapshot = session.refresh()
    assert snapshot.connections is not None
    assert port not in {r["sport"] for r in snapshot.connections.rows() if r["state"] == LISTEN}
