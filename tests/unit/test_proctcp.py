# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What /proc tells of connections: ends, states and owners, and nothing of what it cannot know."""

from __future__ import annotations

import os
import random
import socket

import pytest
from fakeproc import TICK_NS, FakeProc

from ebtop.model.connection_table import LISTEN, owners_of_port, place
from ebtop.model.layout import KNOWN_BIT, ROW
from ebtop.outputs import sample_json
from ebtop.sources.procfs import ProcSource
from ebtop.sources.proctcp import Owner, ProcConnections, parse_lines, with_counts

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid ...\n"
LOCAL = "0100007F"
LOCAL6 = "00000000000000000000000001000000"
MAPPED = "0000000000000000FFFF00000100007F"


def text(*lines: tuple[str, str, int, int]) -> str:
    """Lines of (local, remote, state, inode), of user 1000."""
    return HEAD + "".join(
        f"{n:4d}: {local} {remote} {state:02X} 00000000:00000000 00:00000000 00000000"
        f"  1000        0 {inode} 1 0000000000000000 20 4 30 10 -1\n"
        for n, (local, remote, state, inode) in enumerate(lines)
    )


@pytest.fixture
def proc(tmp_path):
    made = FakeProc(tmp_path)
    (tmp_path / "net").mkdir()
    (tmp_path / "self").mkdir()
    return made


def give(proc, pid, *inodes):
    folder = proc.root / str(pid) / "fd"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for number, inode in enumerate((*inodes, None)):
        os.symlink(f"socket:[{inode}]" if inode else "/dev/null", folder / str(number))


def owner(pid, start=5, comm=b"x"):
    return Owner(pid, start, comm)


def refreshed(proc, *owners):
    return list(ProcConnections(str(proc.root)).refresh(owners).rows())


def test_ends_states_and_owners(proc):
    (proc.root / "net" / "tcp").write_text(text(
        (f"{LOCAL}:0050", "00000000:0000", 10, 11), (f"{LOCAL}:0050", f"{LOCAL}:C000", 1, 12),
        (f"{LOCAL}:C000", f"{LOCAL}:0050", 1, 13), (f"{LOCAL}:C001", f"{LOCAL}:0050", 6, 0),
    ))  # fmt: skip
    give(proc, 7, 11, 12)
    give(proc, 8, 13)
    rows = refreshed(proc, owner(8, comm=b"client"), owner(7))
    assert [(row["sport"], row["dport"], row["pid"]) for row in rows] == [
        (80, 0, 7), (80, 0xC000, 7), (0xC000, 80, 8)
    ]  # fmt: skip
    assert rows[0]["state"] == LISTEN and place(rows[0], "saddr") == "127.0.0.1:80"
    assert rows[2]["comm"] == b"client" and rows[2]["uid"] == 1000
    shown = sample_json.connection(rows[2], 0)
    unknown = ("start_ns", "duration_ns", "tx_bytes", "rx_bytes", "retransmits", "rtt_ns")
    assert {shown[name] for name in (*unknown, "direction", "close_reason")} == {None}
    assert (shown["state"], shown["daddr"], shown["closed"]) == ("ESTABLISHED", "127.0.0.1", False)


def test_ipv6_and_what_only_looks_like_it(proc):
    (proc.root / "net" / "tcp6").write_text(text(
        (f"{MAPPED}:0050", f"{MAPPED}:C000", 1, 11), (f"{LOCAL6}:0050", f"{LOCAL6}:C000", 1, 12),
    ))  # fmt: skip
    rows = refreshed(proc)
    assert [(row["family"], place(row, "saddr")) for row in rows] == [
        (4, "127.0.0.1:80"), (6, "[::1]:80")
    ]  # fmt: skip


def test_a_socket_of_many_is_the_first_ones(proc):
    (proc.root / "net" / "tcp").write_text(text((f"{LOCAL}:0050", "00000000:0000", 10, 11)))
    for pid in (9, 7, 8):
        give(proc, pid, 11)
    assert [row["pid"] for row in refreshed(proc, owner(9), owner(7), owner(8))] == [7]


def test_a_reused_pid_owns_nothing_of_the_one_before(proc):
    (proc.root / "net" / "tcp").write_text(text((f"{LOCAL}:0050", "00000000:0000", 10, 11)))
    give(proc, 7, 11)
    found = ProcConnections(str(proc.root))
    assert [row["pid"] for row in found.refresh([owner(7)]).rows()] == [7]
    give(proc, 7)
    assert [row["pid"] for row in found.refresh([owner(7, start=9)]).rows()] == [0]
    give(proc, 8, 11)
    found._looked_s = -1e9
    assert [row["pid"] for row in found.refresh([owner(7, start=9), owner(8)]).rows()] == [8]


def test_what_was_seen_with_more_privilege_stays(proc):
    (proc.root / "net" / "tcp").write_text(text((f"{LOCAL}:0050", "00000000:0000", 10, 11)))
    give(proc, 7, 11)
    found = ProcConnections(str(proc.root))
    found.refresh([owner(7)])
    assert found.counts == {7: 0}
    for name in (proc.root / "7" / "fd").iterdir():
        name.unlink()
    (proc.root / "7" / "fd").rmdir()
    found._looked_s, found._turn = -1e9, 16
    assert [row["pid"] for row in found.refresh([owner(7)]).rows()] == [7]
    assert found.counts == {}


def test_looking_for_owners_has_a_limit(proc):
    (proc.root / "net" / "tcp").write_text(text((f"{LOCAL}:0050", "00000000:0000", 10, 11)))
    found = ProcConnections(str(proc.root))
    found.refresh([])
    found._look_took_s = 1000.0
    give(proc, 7, 11)
    assert [row["pid"] for row in found.refresh([owner(7)]).rows()] == [0]


def test_other_namespaces_are_looked_into(proc):
    (proc.root / "net" / "tcp").write_text(text((f"{LOCAL}:0050", "00000000:0000", 10, 11)))
    for folder in ("self/ns", "7/ns", "7/net"):
        (proc.root / folder).mkdir(parents=True)
    (proc.root / "self" / "ns" / "net").touch()
    (proc.root / "7" / "ns" / "net").touch()
    (proc.root / "7" / "net" / "tcp").write_text(text((f"{LOCAL}:0051", "00000000:0000", 10, 12)))
    give(proc, 7, 12)
    rows = refreshed(proc, owner(7))
    assert [(row["sport"], row["pid"]) for row in rows] == [(80, 0), (81, 7)]
    assert rows[0]["netns"] != rows[1]["netns"]


def test_lines_that_no_kernel_writes_are_left_out():
    good = text((f"{LOCAL}:0050", f"{LOCAL}:C000", 1, 12)).encode()
    assert len(list(parse_lines(good))) == 1
    for bad in (
        b"", b"\n", HEAD.encode() + b"0: x y 01 a b c 1 0 5\n", good[:-60],
        good.replace(LOCAL.encode(), b"-100007F"), good.replace(b" 12 ", b" -1 "),
    ):  # fmt: skip
        assert list(parse_lines(bad)) == []
    noise = random.Random(6)
    for _ in range(500):
        at = noise.randrange(len(HEAD), len(good))
        list(parse_lines(good[:at] + bytes([noise.randrange(256)]) + good[at + 1 :]))


def test_counts_are_known_where_descriptors_are():
    rows = ROW.pack({"pid": 7, "known": 1}) + ROW.pack({"pid": 8, "known": 2})
    data = with_counts(rows, {8: 3})
    first, second = ROW.unpack(data, 0), ROW.unpack(data, 1)
    assert first == ROW.unpack(rows, 0)
    assert (second["connections"], second["known"]) == (3, 2 | 1 << KNOWN_BIT["connections"])


def test_the_source_has_them_while_they_are_wanted(proc):
    proc.put(7, start=5)
    (proc.root / "net" / "tcp").write_text(text(
        (f"{LOCAL}:0050", "00000000:0000", 10, 11), (f"{LOCAL}:0050", f"{LOCAL}:C000", 1, 12)
    ))  # fmt: skip
    give(proc, 7, 11, 12)
    source = ProcSource(root=str(proc.root), connections=False)
    assert source.refresh().connections is None
    source.switch({"tcp"})
    snapshot = source.refresh()
    assert owners_of_port(snapshot.connections, 80) == {7}
    (row,) = snapshot.processes.rows()
    assert row["connections"] == 1 and row["known"] & 1 << KNOWN_BIT["connections"]
    (first, _) = snapshot.connections.rows()
    assert first["owner_start_ns"] == 5 * TICK_NS == row["start_ns"]
    source.switch(())
    assert source.refresh().connections is None


def test_the_real_thing_finds_its_own():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(server.getsockname()) as out, server.accept()[0]:
            snapshot = ProcSource().refresh()
            assert snapshot.connections is not None
            own = {(row["sport"], row["pid"]) for row in snapshot.connections.rows()
                   if port in (row["sport"], row["dport"])}  # fmt: skip
            assert own == {(port, os.getpid()), (out.getsockname()[1], os.getpid())}
