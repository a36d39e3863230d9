# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""TCP connections: bytes to the byte, owners, ends, namespaces, and a table that is full."""

from __future__ import annotations

import array
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from children import child
from connecting import PROBES, drain, look, namespace, pair, rows
from following import Follower
from lacking import needs_ipv6, needs_programs
from observe import fewer, row_of

from ebtop.model.connection_table import (
    LISTEN,
    address,
    close_reason,
    drops,
    duration_ns,
    is_closed,
)
from ebtop.model.process_table import sent_again_ratio
from ebtop.model.snapshot import Snapshot
from ebtop.sources.bpf import Session


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(PROBES) as found:
        found.refresh()
        yield found


def test_tiny_connections_are_exact_one_by_one(session: Session) -> None:
    count = fewer(1009)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        port = server.getsockname()[1]
        for number in range(count):
            out, taken = pair(server)
            out.sendall(b"x" * (number + 1))
            assert len(taken.recv(number + 1, socket.MSG_WAITALL)) == number + 1
            out.close()
            assert taken.recv(1) == b""
            taken.close()
            if number % 100 == 99:
                session.poll()
        snapshot = look(session, lambda s: sum(map(is_closed, rows(s, port))) == 2 * count)
    sent = sorted(row["tx_bytes"] for row in rows(snapshot, port) if row["dport"] == port)
    assert sent == list(range(1, count + 1))
    row = row_of(snapshot, os.getpid())
    assert row["connections_opened"] == row["connections_accepted"] == count
    assert row["net_tx_bytes"] == count * (count + 1) // 2
    assert not any(snapshot.self_cost.lost_total.values())


def test_sendfile_splice_and_peek_are_exact(session: Session) -> None:
    sizes = {"sendfile": 1_000_003, "splice": 500_009, "send": 300_007}
    with socket.create_server(("127.0.0.1", 0)) as server, tempfile.TemporaryFile() as file:
        file.write(bytes(1_000_003))
        file.flush()
        port = server.getsockname()[1]
        out, taken = pair(server)

        def serve() -> None:
            server.close()
            taken.close()
            sent = 0
            while sent < sizes["sendfile"]:
                sent += os.sendfile(out.fileno(), file.fileno(), sent, sizes["sendfile"] - sent)
            reader, writer = os.pipe()
            sent = 0
            while sent < sizes["splice"]:
                wanted = min(32768, sizes["splice"] - sent)
                filled = os.splice(file.fileno(), writer, wanted, offset_src=sent)
                sent += filled
                while filled:
                    filled -= os.splice(reader, out.fileno(), filled)
            out.sendall(bytes(sizes["send"]))
            out.shutdown(socket.SHUT_WR)
            signal.pause()

        pid = child(serve)
        out.close()
        total = sum(sizes.values())
        assert len(taken.recv(1000, socket.MSG_PEEK | socket.MSG_WAITALL)) == 1000
        # half by splice(2), which is no receive call
        reader, writer = os.pipe()
        spliced = 0
        while spliced < total // 2:
            got = os.splice(taken.fileno(), writer, min(65536, total // 2 - spliced))
            spliced += got
            while got:
                got -= len(os.read(reader, got))
        assert spliced + drain(taken) == total
        sender_pid = pid if sees_sends(session) else os.getpid()
        snapshot = look(session, lambda s: row_of(s, sender_pid)["net_tx_bytes"] == total)
        assert row_of(snapshot, os.getpid())["net_rx_bytes"] == total
        (sender,) = (row for row in rows(snapshot, port) if row["dport"] == port)
        (receiver,) = (row for row in rows(snapshot, port) if row["sport"] == port)
        assert (sender["tx_bytes"], sender["pid"]) == (total, sender_pid)
        assert (receiver["rx_bytes"], receiver["pid"]) == (total, os.getpid())
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        taken.close()
        snapshot = look(session, lambda s: all(map(is_closed, rows(s, port))))
    ends = {
        row["sport"] == port: (row["tx_bytes"], row["rx_bytes"]) for row in rows(snapshot, port)
    }
    assert ends == {True: (0, total), False: (total, 0)}


def sees_sends(session: Session) -> bool:
    """Where nothing tells who sent, it is the one who owns the connection."""
    return not any("bytes sent" in probe.hook for probe in session.refresh().probes)


def test_udp_counts_for_the_process(session: Session) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as two:
        two.bind(("127.0.0.1", 0))
        for number in range(101):
            one.sendto(bytes(number), two.getsockname())
            two.recv(100, socket.MSG_PEEK)
            assert len(two.recv(100)) == min(number, 100)
        snapshot = session.refresh()
    if sees_sends(session):
        row = row_of(snapshot, os.getpid())
        assert row["net_tx_bytes"] == row["net_rx_bytes"] == 5050


def test_refused_reset_and_given_up_are_told_apart(session: Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for _ in range(11):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", 1))
        for _ in range(7):
            out, taken = pair(server)
            out.send(b"x")
            assert taken.recv(1) == b"x"  # who accepted it is learnt when it is used
            out.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            out.close()
            with pytest.raises(ConnectionResetError):
                taken.recv(1)
            taken.close()
        for _ in range(5):
            out, taken = pair(server)
            out.close()
            assert taken.recv(1) == b""
            taken.close()
        snapshot = look(session, lambda s: len(rows(s, port)) == 24)
    reasons = [close_reason(row) for row in rows(snapshot, port)]
    assert (reasons.count("reset"), reasons.count("fin")) == (14, 10)
    mine = [row for row in rows(snapshot, 1) if row["pid"] == os.getpid()]
    assert [close_reason(row) for row in mine] == ["refused"] * 11
    row = row_of(snapshot, os.getpid())
    assert row["connection_errors"] == 11 + 7 and row["connections"] == 0


def test_owner_of_a_forked_a_threaded_and_a_passed_connection(session: Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        near, far = socket.socketpair()

        def forked() -> None:
            taken = server.accept()[0]
            taken.sendall(taken.recv(3))
            signal.pause()

        def passed() -> None:
            _, ancillary, _, _ = far.recvmsg(1, socket.CMSG_SPACE(4))
            (fd,) = array.array("i", ancillary[0][2])
            taken = socket.socket(fileno=fd)
            taken.sendall(taken.recv(3))
            signal.pause()

        worker = child(forked)
        first = socket.create_connection(("127.0.0.1", port))
        first.sendall(b"one")
        assert first.recv(3) == b"one"
        receiver = child(passed)
        second, taken = pair(server)
        rights = array.array("i", [taken.fileno()])
        near.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        taken.close()
        second.sendall(b"two")
        assert second.recv(3) == b"two"
        third, own = pair(server)
        third.sendall(b"tre")
        thread = threading.Thread(target=lambda: own.sendall(own.recv(3)))
        thread.start()
        thread.join()
        assert third.recv(3) == b"tre"
        expected = {
            first.getsockname()[1]: worker, second.getsockname()[1]: receiver,
            third.getsockname()[1]: os.getpid(),
        }  # fmt: skip
        snapshot = look(session, lambda s: len(rows(s, port)) == 6)
        owners = {row["dport"]: row["pid"] for row in rows(snapshot, port) if row["sport"] == port}
        assert owners == expected
        assert {row["pid"] for row in rows(snapshot, port) if row["dport"] == port} == {os.getpid()}
        assert row_of(snapshot, worker)["connections_accepted"] == 1
        for pid in (worker, receiver):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        # who owned it is known when it is gone
        snapshot = look(session, lambda s: sum(map(is_closed, rows(s, port))) >= 2)
        over = [row for row in rows(snapshot, port) if row["sport"] == port and is_closed(row)]
        gone = {row["pid"] for row in over}
        assert gone == {worker, receiver}
        for end in (first, second, third, own, near, far):
            end.close()


def test_connections_from_before_the_start_have_their_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ends = [end for _ in range(13) for end in pair(server)]
        with Session(PROBES) as session:
            snapshot = session.refresh()
            assert {row["pid"] for row in rows(snapshot, port)} == {os.getpid()}
            assert len(rows(snapshot, port)) == 26
            assert {row["start_ns"] for row in rows(snapshot, port)} == {0}
            assert row_of(snapshot, os.getpid())["connections"] >= 26
            ends[0].sendall(b"x" * 101)
            assert len(ends[1].recv(200)) == 101
            row = row_of(session.refresh(), os.getpid())
            assert row["net_tx_bytes"] == row["net_rx_bytes"] == 101
        for end in ends:
            end.close()


def test_an_ipv4_address_in_ipv6_clothes_is_ipv4(session: Session) -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        port = server.getsockname()[1]
        four = socket.create_connection(("127.0.0.1", port))
        six = socket.create_connection(("::1", port))
        ends = [four, six, server.accept()[0], server.accept()[0]]
        snapshot = look(session, lambda s: len(rows(s, port)) == 4)
        assert sorted(row["family"] for row in rows(snapshot, port)) == [4, 4, 6, 6]
        for row in rows(snapshot, port):
            if row["family"] == 4:
                assert row["saddr_0"] == row["daddr_0"] == 0x0100007F and not row["saddr_3"]
        for end in ends:
            end.close()


def test_durations_are_those_of_the_clock(session: Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for _ in range(3):
            before = time.monotonic_ns()
            out, taken = pair(server)
            connected = time.monotonic_ns()
            time.sleep(0.05)
            closing = time.monotonic_ns()
            out.close()
            taken.close()
            after = time.monotonic_ns()
            snapshot = look(session, lambda s: all(map(is_closed, rows(s, port))))
            for row in rows(snapshot, port)[-2:]:
                lasted = duration_ns(row, snapshot.taken_ns)
                assert lasted is not None
                assert closing - connected - 1_000_000 < lasted <= after - before


def test_namespaces_are_told_apart(session: Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ends = [*pair(server)]
        with namespace(), socket.create_server(("127.0.0.1", port)) as other:
            ends += pair(other)
            for end in ends:
                end.sendall(b"x" * 103)
            snapshot = look(session, lambda s: len(rows(s, port)) == 4)
            inside = os.stat("/proc/thread-self/ns/net").st_ino
        outside = os.stat("/proc/self/ns/net").st_ino
        assert inside != outside
        assert sorted(row["netns"] for row in rows(snapshot, port)) == sorted(
            [inside, inside, outside, outside]
        )
        assert {row["tx_bytes"] for row in rows(snapshot, port)} == {103}
        for end in ends:
            end.close()


def test_a_connect_that_nobody_answers_times_out(session: Session) -> None:
    """A listener whose queue is full drops what comes."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        waiting = []
        with pytest.raises(TimeoutError):
            while len(waiting) < 8:
                waiting.append(socket.socket())
                waiting[-1].setsockopt(socket.IPPROTO_TCP, 7, 1)  # TCP_SYNCNT: one more SYN
                waiting[-1].connect(("127.0.0.1", port))
        snapshot = look(session, lambda s: any(close_reason(r) == "timeout" for r in rows(s, port)))
        (row,) = (row for row in rows(snapshot, port) if close_reason(row) == "timeout")
        assert row["pid"] == os.getpid() and row["retransmits"] >= 1
        mine = row_of(snapshot, os.getpid())
        assert mine["connection_errors"] == 1 and mine["retransmits"] == row["retransmits"]
        listeners = snapshot.connections.rows() if snapshot.connections else iter(())
        (own,) = (r for r in listeners if r["state"] == LISTEN and r["sport"] == port)
        assert own["backlog"] == len(waiting) - 1 and own["backlog_max"] == 0
        for end in waiting:
            end.close()


def total_retransmits(end: socket.socket) -> int:
    """tcpi_total_retrans, which is what ss(8) prints."""
    info = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int.from_bytes(info[100:104], sys.byteorder)


def test_retransmits_are_those_that_ss_tells(session: Session) -> None:
    needs_programs("tc", "ss")
    with namespace():
        netem = ["qdisc", "add", "dev", "lo", "root", "netem", "loss", "20%"]
        done = subprocess.run(["tc", *netem], capture_output=True, text=True, check=False)
        if done.returncode:
            assert "qdisc kind is unknown" in done.stderr, done.stderr
            pytest.xfail(f"this kernel has no netem: {done.stderr.strip()}")
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            out, taken = pair(server)
            total = 1_000_003
            reader = threading.Thread(target=drain, args=(taken,))
            reader.start()
            while total_retransmits(out) < 3:
                out.sendall(bytes(total))

            def as_told(snapshot: Snapshot) -> bool:
                (row,) = (row for row in rows(snapshot, port) if row["dport"] == port)
                there = total_retransmits(out)
                return bool(row["retransmits"] == there > 0 and row["tx_bytes"] % total == 0)

            snapshot = look(session, as_told)
            (row,) = (row for row in rows(snapshot, port) if row["dport"] == port)
            told = subprocess.run(["ss", "-tinH"], capture_output=True, text=True, check=True)
            words = [w for w in told.stdout.split() if w.startswith("retrans:")]
            most = max((int(w.rpartition("/")[2]) for w in words), default=None)
            # without inet_diag ss(8) reads /proc, where there is no such number
            assert most in (None, total_retransmits(out))
            mine = row_of(snapshot, os.getpid())
            assert mine["retransmits"] >= row["retransmits"]
            # of the process: what both ends sent again, by all that they sent
            ends = [r for r in rows(snapshot) if r["pid"] == os.getpid()]
            again, sent = (sum(r[name] for r in ends) for name in ("retransmits", "segments"))
            assert sent_again_ratio(mine) == again / sent > 0
            out.close()
            reader.join()
            taken.close()


def test_a_full_table_forgets_the_idle_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three times what there is room for: the rest is counted, and what is used stays."""
    monkeypatch.setenv("EBTOP_CONNECTIONS_MAX", "512")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    with Session(PROBES) as session, socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        session.refresh()
        port = server.getsockname()[1]
        used = pair(server)
        ends = []
        for _ in range(768):
            ends += pair(server)
            used[0].sendall(b"x")
            assert len(used[1].recv(1)) == 1
            if len(ends) % 256 == 0:
                session.refresh()
        for _ in range(4):
            snapshot = session.refresh()
        lost = snapshot.self_cost.lost_total["connections"]
        shown = [row for row in rows(snapshot, port) if not is_closed(row)]
        assert 0 < len(shown) <= 512
        # what is neither there nor told was another process's
        assert 2 * 769 + 1 <= lost + len(rows(snapshot)) + 1 <= 2 * 769 + 256
        sockets = {used[0].getsockname()[1], used[1].getpeername()[1]}
        assert [row for row in rows(snapshot, port) if row["sport"] in sockets]
        for end in (*ends, *used):
            end.close()


def test_the_stream_tells_every_change_of_those_that_pass() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def talk() -> None:
            out, taken = pair(server)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", 1))
            out.sendall(b"x" * 101)
            assert len(taken.recv(200)) == 101
            time.sleep(0.02)
            out.close()
            assert taken.recv(1) == b""
            taken.close()

        with Follower(talk, "tcp", "--json", "--port", str(port)) as follower:
            talk()
            follower.take(0.5)
            events = follower.end()
    assert all(port in (event["sport"], event["dport"]) for event in events)
    last = events[-10:]
    changes = [(event["old_state"], event["new_state"]) for event in last if event["dport"] == port]
    assert changes == [
        ("CLOSE", "SYN_SENT"), ("SYN_SENT", "ESTABLISHED"), ("ESTABLISHED", "FIN_WAIT1"),
        ("FIN_WAIT1", "FIN_WAIT2"), ("FIN_WAIT2", "CLOSE"),
    ]  # fmt: skip
    end = next(event for event in last if event["old_state"] == "FIN_WAIT2")
    assert (end["tx_bytes"], end["rx_bytes"], end["close_reason"]) == (101, 0, "fin")
    assert end["pid"] == os.getpid() and end["duration_ns"] > 20_000_000


def listen_drops() -> int:
    """Of this thread's network namespace."""
    lines = Path("/proc/thread-self/net/netstat").read_text().splitlines()
    names, numbers = (line.split() for line in lines if line.startswith("TcpExt:"))
    return int(dict(zip(names, numbers))["ListenDrops"])


def test_a_listening_socket_tells_what_it_threw_away(session: Session) -> None:
    """The only one in its namespace: so all that was thrown away there is its own."""
    with namespace(), socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        before, waiting = listen_drops(), []
        with pytest.raises(TimeoutError):
            while len(waiting) < 8:
                waiting.append(socket.socket())
                waiting[-1].setsockopt(socket.IPPROTO_TCP, 7, 1)  # TCP_SYNCNT: one more SYN
                waiting[-1].connect(("127.0.0.1", port))

        def agrees(snapshot: Snapshot) -> bool:
            assert snapshot.connections is not None
            table = [r for r in snapshot.connections.rows() if r["sport"] == port]
            (own,) = (r for r in table if r["state"] == LISTEN)
            return bool(drops(own) == listen_drops() - before > 0)

        look(session, agrees)
        for end in waiting:
            end.close()


def test_the_machine_tells_what_was_thrown_away() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, Session(PROBES) as session:
        before = listen_drops()
        waiting = [socket.socket() for _ in range(4)]
        for end in waiting:
            end.setblocking(False)
            end.connect_ex(server.getsockname())
        snapshot = look(session, lambda s: bool(s.system.listening.drops))
        assert snapshot.system.listening.drops is not None
        assert 0 < snapshot.system.listening.drops <= listen_drops() - before
        for end in waiting:
            end.close()


def test_addresses_of_a_link_have_their_interface(session: Session) -> None:
    needs_ipv6()
    with namespace() as ip:
        ip("addr", "add", "fe80::1009/64", "dev", "lo", "scope", "link", "nodad")
        lo = socket.if_nametoindex("lo")
        with socket.socket(socket.AF_INET6) as server, socket.socket(socket.AF_INET6) as out:
            server.bind(("fe80::1009", 0, 0, lo))
            server.listen()
            out.connect(("fe80::1009", server.getsockname()[1], 0, lo))
            taken = server.accept()[0]
            snapshot = look(session, lambda s: len(rows(s, server.getsockname()[1])) == 2)
            for row in rows(snapshot, server.getsockname()[1]):
                assert address(row, "saddr") == address(row, "daddr") == f"fe80::1009%{lo}"
            taken.close()


def segments_out(end: socket.socket) -> int:
    info = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 144)
    return int.from_bytes(info[136:140], sys.byteorder)


def test_segments_are_those_of_the_kernel(session: Session) -> None:
    """tcpi_segs_out of TCP_INFO."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        out, taken = pair(server)
        out.sendall(bytes(100_003))
        assert len(taken.recv(100_003, socket.MSG_WAITALL)) == 100_003
        port = out.getsockname()[1]

        def agrees(snapshot: Snapshot) -> bool:
            (row,) = (row for row in rows(snapshot, port) if row["sport"] == port)
            mine = row_of(snapshot, os.getpid())["segments"]
            there = [segments_out(end) for end in (out, taken)]
            return bool(row["segments"] == there[0] > 1 and mine == sum(there))

        look(session, agrees)
        out.close()
        taken.close()
