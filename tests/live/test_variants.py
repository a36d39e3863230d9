# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Every variant of every probe, forced in turn, counts a known workload right on this kernel.

The variants come from the collector itself. What was loaded, attached and right is left for the
run over all kernels, which fails when a program was proven on none. A variant that this kernel
refuses is no failure unless it is one that must work wherever there is BTF.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Callable

import pytest
import results
from diskwork import place, read_direct, untold, write_direct
from observe import named, row_of, start, until_asleep, until_done, value, watch, workload

from ebtop.commands.calllines import unpack
from ebtop.model.connection_table import LISTEN, close_reason, counted, is_closed
from ebtop.model.filters import KernelFilter
from ebtop.model.layout import EVENT_TYPES
from ebtop.model.prototype import RAW_RESULT, Hook, Param
from ebtop.model.snapshot import Program, Snapshot
from ebtop.probes import NAMES as PROBES
from ebtop.sources.bpf import Session, variants

MOST_INSTRUCTIONS = 100_000
HOOK = Hook("do_sys_openat2", (Param(), Param(text=True)), RAW_RESULT, slots=3, returns=True)
LATER = {"start_btf", "merge_btf", "dirty_btf", "dirty_page_btf", "ring_btf", "sent_btf",
         "victim_btf", "victim_pid_btf"}  # fmt: skip
"""Of tracepoints that came after the oldest kernel, or went: these may be missing, and their
variant."""
NEWER_REFUSE = {"signal_btf"}
"""What they hand over is no pointer for newer verifiers: a variant that copies it has to do."""
SPINE = {"sched", "life", "tasks"}
CASES = [(probe, number) for probe in PROBES for number in range(len(variants(probe)))]


def refusing(programs: list[str]) -> str:
    return ",".join(f"{program}:{errno.EINVAL}" for program in programs)


def better_ones(probe: str, number: int) -> list[str]:
    """Of each better variant, a program that this one does without."""
    own = variants(probe)[number]
    return [next(p for p in programs if p not in own) for programs in variants(probe)[:number]]


# ---- known work, by probe: an AssertionError when a number is wrong ----


def sched_is_right(session: Session, programs: set[str]) -> None:
    process = start("sleeps", "211")
    until_done(process)
    row = row_of(session.refresh(), process.pid)
    status = Path(f"/proc/{process.pid}/status").read_text()
    process.kill()
    process.wait()
    counts = dict(line.split(":\t") for line in status.splitlines() if "ctxt_switches" in line)
    assert row["voluntary_switches"] == int(counts["voluntary_ctxt_switches"]) >= 211
    assert row["involuntary_switches"] == int(counts["nonvoluntary_ctxt_switches"])
    assert row["offcpu_ns"] > 211 * 10_000 and value(row, "runq_wait_ns") is not None


def life_is_right(session: Session, programs: set[str]) -> None:
    command = [workload("spawn"), "101", workload("act"), "exit", "3"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    watch(session, 0.1)
    snapshot = session.refresh()
    rows = list(named(snapshot, b"act"))
    assert len(rows) == 101 and {row["exit_code"] for row in rows} == {3 << 8}
    args = [snapshot.text[row["text"] : row["text"] + row["text_bytes"]] for row in rows]
    expected = b"\0".join(word.encode() for word in command[2:]) + b"\0"
    assert set(args) == ({expected} if "exec_args_btf" in programs else {b""})


def tasks_is_right(session: Session, programs: set[str]) -> None:
    process = start("sleeps", "11")
    until_done(process)
    row = row_of(session.refresh(), process.pid)
    status = Path(f"/proc/{process.pid}/status").read_text()
    process.kill()
    process.wait()
    kib = {li.split(":")[0]: li.split()[1] for li in status.splitlines() if li.endswith("kB")}
    assert row["virtual_bytes"] == int(kib["VmSize"]) * 1024
    assert (row["ppid"], row["uid"], row["threads"]) == (os.getpid(), os.geteuid(), 1)
    if "tasks_bare_iter" in programs:
        assert value(row, "rss_bytes") is None
    else:
        # since 6.2 the kernel's counters lag by at most a batch a CPU, in three kinds
        lag = 3 * max(32, 2 * (os.cpu_count() or 1)) * (os.cpu_count() or 1) * 4096
        assert row["rss_bytes"] == pytest.approx(int(kib["VmRSS"]) * 1024, abs=lag)


def syscall_is_right(session: Session, programs: set[str]) -> None:
    session.set_filter(KernelFilter(pid=os.getpid()))
    session.refresh()
    for _ in range(211):
        os.getpgid(0)
    for _ in range(101):
        with pytest.raises(OSError):
            os.rmdir("/no/such/folder")
    snapshot = session.refresh()
    from ebtop.model.syscallnames import name_of

    assert snapshot.syscalls is not None
    calls = {name_of(row["number"]): row for row in snapshot.syscalls.rows()}
    assert (calls["getpgid"]["calls"], calls["getpgid"]["errors"]) == (211, 0)
    assert (calls["rmdir"]["calls"], calls["rmdir"]["errors"]) == (101, 101)
    row = row_of(snapshot, os.getpid())
    assert row["syscalls"] >= 312 and row["syscall_errors"] >= 101
    assert row["user_ns"] + row["kernel_ns"] == row["oncpu_ns"]
    memory_is_right(session, "enter_bare_btf" in programs)


def memory_is_right(session: Session, bare: bool) -> None:
    """It is counted by the programs of system calls."""
    session.set_filter(KernelFilter())
    session.switch(SPINE | {"syscall", "mem"})
    (status,) = (probe for probe in session.refresh().probes if probe.name == "mem")
    if status.state != "on":
        assert bare and "how much is mapped" in (status.reason or "")
        return
    line, pipe = [workload("memory"), "sequence", "97"], subprocess.PIPE
    with subprocess.Popen(line, stdin=pipe, stdout=pipe, text=True, bufsize=1) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        until_asleep(worker.pid)
        session.refresh()
        worker.stdin.write("\n")
        done = tuple(map(int, worker.stdout.readline().split()))
        until_asleep(worker.pid)
        row = row_of(session.refresh(), worker.pid)
        worker.stdin.write("\n")
    names = ("mmap_calls", "munmap_calls", "brk_calls", "allocated_bytes", "freed_bytes")
    assert tuple(row[name] for name in names) == done


def open_is_right(session: Session, programs: set[str]) -> None:
    session.set_filter(KernelFilter(pid=os.getpid()))
    session.refresh()
    session.stream()
    for _ in range(101):
        os.close(os.open("/etc/hostname", os.O_RDONLY))
        with pytest.raises(FileNotFoundError):
            os.open(b"/no/such/\xff", os.O_RDWR)
    stream = session.stream()
    rows = [row for row in stream.events.rows() if EVENT_TYPES[row["type"]] == "open"]
    names = [stream.text[row["text"] : row["text"] + row["text_bytes"]] for row in rows]
    assert names == [b"/etc/hostname", b"/no/such/\xff"] * 101
    assert all(row["result"] >= 0 for row in rows[::2])
    assert {row["result"] for row in rows[1::2]} == {-errno.ENOENT}
    assert {row["open_flags"] & ~os.O_CLOEXEC for row in rows[1::2]} == {os.O_RDWR}


def kfunc_is_right(session: Session, programs: set[str]) -> None:
    session.set_filter(KernelFilter(pid=os.getpid()))
    session.refresh()
    session.stream()
    for _ in range(101):
        os.close(os.open("/etc/hostname", os.O_RDONLY))
        with pytest.raises(FileNotFoundError):
            os.open(b"/no/such/\xff", os.O_RDWR)
    stream = session.stream()
    rows = [row for row in stream.events.rows() if EVENT_TYPES[row["type"]] == "kprobe"]
    calls = [unpack(row, stream.text) for row in rows]
    assert [call.texts[1] for call in calls] == [b"/etc/hostname", b"/no/such/\xff"] * 101
    assert all(row["result"] >= 0 for row in rows[::2])
    # an int on newer kernels: what the upper half of its register holds means nothing
    assert {row["result"] & 0xFFFFFFFF for row in rows[1::2]} == {-errno.ENOENT & 0xFFFFFFFF}
    assert not any(stream.lost.values())


def block_is_right(session: Session, programs: set[str]) -> None:
    with place() as here:
        session.refresh()
        read_direct(here.path, 101, 4096)
        write_direct(here.path, 53, 8192)
        row = row_of(session.refresh(), os.getpid())
        late = untold(os.getpid())
    assert row["disk_reads"] + late.reads == 101
    assert row["disk_read_bytes"] + late.read_bytes == 101 * 4096
    assert row["disk_writes"] + late.writes == 53
    assert row["disk_write_bytes"] + late.write_bytes == 53 * 8192
    # the first of each direction follows nothing
    assert row["disk_sequential"] + late.reads + late.writes >= 100 + 52
    timed = row["disk_timed"]
    assert 0 < row["disk_latency_min_ns"] * timed <= row["disk_latency_ns"]
    assert row["disk_latency_ns"] <= timed * row["disk_latency_max_ns"] and timed > 100


def vfs_is_right(session: Session, programs: set[str]) -> None:
    session.set_filter(KernelFilter(pid=os.getpid()))
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        one, other = source.fileno(), target.fileno()
        os.write(one, bytes(30011))
        before = row_of(session.refresh(), os.getpid())
        os.pread(one, 10007, 0)
        os.preadv(one, [bytearray(101), bytearray(103)], 0)
        os.pwrite(other, bytes(20011), 0)
        os.pwritev(other, [bytes(107), bytes(109)], 0)
        os.sendfile(other, one, 0, 4099)
        os.copy_file_range(one, other, 5003, 0)
        reader, writer = os.pipe()
        os.splice(one, writer, 4001, offset_src=0)
        os.splice(reader, other, 4001)
        row = row_of(session.refresh(), os.getpid())
        os.close(reader)
        os.close(writer)
    by_descriptor = 4099 + 5003 if programs & {"sendfile_fexit", "added_call_btf"} else 0
    own = row["file_read_bytes"] - (10007 + 204 + by_descriptor + 4001)
    # what the session itself reads in a refresh, of /proc
    assert 0 <= own <= 2 * max(before["file_read_bytes"], 2000)
    assert row["file_write_bytes"] == 20011 + 216 + by_descriptor + 4001
    assert row["cached_read_bytes"] == 10007 + 204 + by_descriptor + 4001


def _send_pages_and_datagrams(family: int, address: str) -> None:
    """3001 bytes by sendfile over TCP; 101 bytes over UDP, of which 53 are peeked at first."""
    if family == socket.AF_INET6 and not os.path.exists("/proc/net/if_inet6"):
        return
    with socket.create_server((address, 0), family=family) as server:
        out = socket.create_connection(server.getsockname()[:2])
        with out, server.accept()[0] as taken, tempfile.TemporaryFile() as file:
            os.ftruncate(file.fileno(), 3001)
            assert os.sendfile(out.fileno(), file.fileno(), 0, 3001) == 3001
            assert len(taken.recv(1000, socket.MSG_PEEK)) == 1000
            assert len(taken.recv(3001, socket.MSG_WAITALL)) == 3001
    datagrams = (family, socket.SOCK_DGRAM)
    with socket.socket(*datagrams) as out, socket.socket(*datagrams) as taken:
        taken.bind((address, 0))
        out.sendto(bytes(101), taken.getsockname())
        assert len(taken.recv(53, socket.MSG_PEEK)) == 53
        assert len(taken.recv(200)) == 101
        with pytest.raises(BlockingIOError):
            taken.recv(1, socket.MSG_DONTWAIT)


def talked(session: Session) -> Snapshot:
    """One connection is refused, one with 1009 bytes out and 211 back ends, another stays."""
    session.refresh()
    with socket.create_server(("127.0.0.1", 0)) as server:
        for is_last in (False, True):
            out = socket.create_connection(server.getsockname())
            taken, _ = server.accept()
            out.sendall(b"x" * 1009)
            assert len(taken.recv(1009, socket.MSG_WAITALL)) == 1009
            taken.sendall(b"y" * 211)
            assert len(out.recv(211, socket.MSG_WAITALL)) == 211
            if not is_last:
                out.close()
                assert taken.recv(1) == b""
                taken.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", 1))
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            _send_pages_and_datagrams(family, address)
        watch(session, 0.1)
        snapshot = session.refresh()
        out.close()
        taken.close()
    return snapshot


def connections_of(snapshot: Snapshot) -> list[dict[str, Any]]:
    assert snapshot.connections is not None
    return [row for row in snapshot.connections.rows() if row["pid"] == os.getpid()]


def tcp_is_right(session: Session, programs: set[str]) -> None:
    snapshot = talked(session)
    row = row_of(snapshot, os.getpid())
    ways = 2 if os.path.exists("/proc/net/if_inet6") else 1  # IPv4, and IPv6
    assert row["connections_opened"] == 3 + ways and row["connections_accepted"] == 2 + ways
    assert row["connection_errors"] == 1
    streams = 2 * (1009 + 211) + ways * 3001
    by_udp = ways * 101 if len(programs) > 3 else 0  # three know connections alone
    assert row["net_tx_bytes"] == row["net_rx_bytes"] == streams + by_udp
    rows = connections_of(snapshot)
    assert sum(c["state"] == LISTEN for c in rows) == 1
    closed = [c for c in rows if is_closed(c) and c["dport"] != 1]
    known = [(211, 1009), (1009, 211), *[(0, 3001), (3001, 0)] * ways]
    assert sorted((c["tx_bytes"], c["rx_bytes"]) for c in closed) == sorted(known)
    assert {close_reason(c) for c in closed} == {"fin"}
    assert [close_reason(c) for c in rows if c["dport"] == 1] == ["refused"]


def sockets_is_right(session: Session, programs: set[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        session.switch(SPINE)
        with socket.create_connection(server.getsockname()) as out, server.accept()[0] as taken:
            session.switch(SPINE | {"tcp"})
            rows = connections_of(session.refresh())
            found = [c for c in rows if server.getsockname()[1] in (c["sport"], c["dport"])]
            assert len(found) == (3 if "files_iter" in programs else 0)
            out.sendall(b"x" * 101)
            assert len(taken.recv(101, socket.MSG_WAITALL)) == 101
    open_ones = [c for c in connections_of(talked(session)) if not is_closed(c)]
    bytes_of = [(counted(c, "tx_bytes"), counted(c, "rx_bytes")) for c in open_ones]
    expected = [(211, 1009), (1009, 211)] if "conns_iter" in programs else [(None, None)] * 2
    assert sorted(pair for pair, c in zip(bytes_of, open_ones) if c["state"] != LISTEN) == expected


def signals_is_right(session: Session, programs: set[str]) -> None:
    process = start("wait", "0")
    until_asleep(process.pid)
    session.stream()
    for _ in range(13):
        os.kill(process.pid, signal.SIGCONT)
    stream = session.stream()
    process.kill()
    process.wait()
    kind = EVENT_TYPES.index("signal")
    sent = [row for row in stream.events.rows()
            if row["type"] == kind and row["target"] == process.pid]  # fmt: skip
    told = bool(programs & {"signal_btf", "signal_read_btf"})
    assert [row["result"] for row in sent] == [signal.SIGCONT] * (13 if told else 0)
    assert {row["pid"] for row in sent} == ({os.getpid()} if told else set())


ORACLES: dict[str, Callable[[Session, set[str]], None]] = {
    "sched": sched_is_right, "life": life_is_right, "tasks": tasks_is_right,
    "syscall": syscall_is_right, "open": open_is_right, "kfunc": kfunc_is_right,
    "vfs": vfs_is_right, "block": block_is_right,
    "tcp": tcp_is_right, "sockets": sockets_is_right, "signals": signals_is_right,
}  # fmt: skip


def opened_with(probe: str) -> tuple[Session, list[Program], str]:
    """A session with the spine and that probe; its programs, and why it does not run."""
    session = Session(SPINE | {probe}, verifier_stats=True, hook=HOOK, failed_execs=True)
    (status,) = (s for s in session.refresh().probes if s.name == probe)
    return session, [p for p in session.programs() if p.probe == probe], status.reason or ""


@pytest.mark.parametrize("probe, number", CASES)
def test_variant_counts_known_work(
    probe: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = variants(probe)[number]
    monkeypatch.setenv("EBTOP_FAIL", refusing(better_ones(probe, number)))
    session, programs, reason = opened_with(probe)
    with session:
        found = {program.name for program in programs}
        if found != set(wanted):
            must = all(p.endswith(("_btf", "_iter")) for p in wanted)
            assert not must or set(wanted) & (LATER | NEWER_REFUSE), (
                f"{wanted} does not run here: {reason}"
            )
            return  # functions cannot be hooked here; another kernel has to prove it
        ORACLES[probe](session, found)
    for program in programs:
        assert program.instructions is not None
        assert program.instructions <= MOST_INSTRUCTIONS, program
        results.proven(probe, program.name, program.instructions)


def refusals(probe: str) -> list[tuple[str, ...]]:
    """Each program alone, and few for each set of variants that can be left without them."""
    found = sorted({p for variant in variants(probe) for p in variant})
    within = {p: {n for n, v in enumerate(variants(probe)) if p in v} for p in found}
    leaving: dict[frozenset[int], tuple[str, ...]] = {frozenset(): ()}
    for program in found:  # by the variants that are gone
        for gone, refused in list(leaving.items()):
            leaving.setdefault(gone | within[program], (*refused, program))
    return list(dict.fromkeys([*leaving.values(), *((p,) for p in found)]))


@pytest.mark.parametrize("probe", PROBES)
def test_the_best_variant_of_those_not_refused_is_chosen(
    probe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is refused. What this kernel itself refuses counts as refused."""
    monkeypatch.delenv("EBTOP_FAIL", raising=False)
    possible = []
    for number, variant in enumerate(variants(probe)):
        monkeypatch.setenv("EBTOP_FAIL", refusing(better_ones(probe, number)))
        session, programs, _ = opened_with(probe)
        session.close()
        possible += [variant] if {p.name for p in programs} == set(variant) else []
    for refused in refusals(probe):
        monkeypatch.setenv("EBTOP_FAIL", refusing(list(refused)))
        session, programs, _ = opened_with(probe)
        session.close()
        left = [variant for variant in possible if not set(variant) & set(refused)]
        assert {p.name for p in programs} == set(left[0] if left else ())
