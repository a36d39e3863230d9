# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns made-up machines: snapshots packed row by row, the same every time, for tests of outputs.

Nothing here reads this machine, and nothing is checked here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from ebtop.model.connection_table import STATES
from ebtop.model.layout import (
    BORN,
    CONN_CLOSED,
    CONN_COUNTED,
    CONN_IN,
    CONN_LEFT,
    CONN_OUT,
    CONNECTION,
    CPU,
    DISK,
    DISK_FACTS,
    DISK_SLOW,
    EVENT,
    EVENT_TYPES,
    EXITED,
    FILE,
    KERNEL,
    KNOWN_BIT,
    LOSSES,
    MEMORY_PARTS,
    NOT_COUNTED,
    RAN,
    ROW,
    SIZES,
    SLOW,
    SYSCALL,
    TEXT_CUT,
    TEXT_UNREAD,
    WAIT,
    Table,
    known_mask,
)
from ebtop.model.leaks import Leak, Point
from ebtop.model.snapshot import CpuParts, Host, ProbeStatus, SelfCost, Snapshot, System

NET = ("net_tx_bytes", "net_rx_bytes", "connections", "connections_opened",
       "connections_accepted", "retransmits", "connection_errors")  # fmt: skip
NET_KNOWN = known_mask(*NET)
DISK_KNOWN = known_mask(*(name for name in KNOWN_BIT if name.startswith("disk_")))
ALL_KNOWN = known_mask(*(name for name in KNOWN_BIT if name != "exit_code"))
ALL_KNOWN &= ~(DISK_KNOWN | NET_KNOWN)
"""But what comes from disks and the network, of which most of these machines know nothing."""
MEM_KNOWN = known_mask("mmap_calls", "munmap_calls", "brk_calls", "allocated_bytes", "freed_bytes")
EXIT_KNOWN = 1 << KNOWN_BIT["exit_code"]
MS = 1_000_000
GIB = 1 << 30
NOW_NS = 400_000_000_000_000


def process(pid: int, comm: bytes = b"idle", **values: Any) -> dict[str, Any]:
    """One row; whatever is not given is that of a small process that sleeps."""
    row = {
        "known": ALL_KNOWN, "start_ns": pid * 1_000_003, "rss_bytes": 4 << 20,
        "virtual_bytes": 64 << 20, "peak_rss_bytes": 5 << 20, "cgroup_id": 77, "pid": pid,
        "tid": pid, "ppid": 1 if pid > 1 else 0, "uid": 1000, "threads": 1, "state": ord("S"),
        "comm": comm, "process_comm": comm, "offcpu_ns": 1000 * MS, "wait_sleep_ns": 1000 * MS,
        "lifetime_ns": 1000 * MS, **dict.fromkeys(MEMORY_PARTS, NOT_COUNTED),
    }  # fmt: skip
    row.update(values)
    return row


def running(pid: int, comm: bytes, oncpu_ms: int, **values: Any) -> dict[str, Any]:
    """One row of a process that was on a CPU in the interval."""
    ns = oncpu_ms * MS
    given = {
        "oncpu_ns": ns, "user_ns": ns * 3 // 4, "kernel_ns": ns // 4, "runq_wait_ns": ns // 50,
        "offcpu_ns": max(0, 1000 * MS - ns), "voluntary_switches": 7 + oncpu_ms // 3,
        "involuntary_switches": oncpu_ms // 9, "migrations": oncpu_ms // 100,
        "minor_faults": oncpu_ms * 11, "major_faults": oncpu_ms // 200, "state": ord("R"),
        "flags": RAN,
    }  # fmt: skip
    given.update(values)
    return process(pid, comm, **{**_waits(given["offcpu_ns"], pid), **given})


def _waits(offcpu_ns: int, pid: int) -> dict[str, int]:
    """A bit of everything, by pid in another order; of every eleventh conditions first."""
    reasons = [name for name in KNOWN_BIT if name.startswith("wait_")]
    reasons.remove("wait_condition_ns")
    shares = (55, 20, 12, 7, 4, 2, 0)
    turned = reasons[pid % 7 :] + reasons[: pid % 7]
    if pid % 11 == 0:
        turned[0] = "wait_condition_ns"
    waits = {name: offcpu_ns * share // 100 for name, share in zip(turned, shares)}
    waits[turned[0]] += offcpu_ns - sum(waits.values())
    return {**dict.fromkeys(reasons, 0), **waits}


def exited(pid: int, comm: bytes, code: int = 0, **values: Any) -> dict[str, Any]:
    """One row of a process that began and ended in the interval; `code` as wait(2) gives it."""
    given = {"known": ALL_KNOWN | EXIT_KNOWN, "exit_code": code, "flags": RAN | BORN | EXITED}
    given.update(values)
    return running(pid, comm, 2, **given)


def table(rows: Iterable[dict[str, Any]]) -> Table:
    return Table(ROW, b"".join(ROW.pack(row) for row in rows))


def waiting() -> Snapshot:
    """A crowded machine, and of one process the stacks that it waited in."""
    base = office()
    named = {
        0xFFFF0010: b"sk_wait_data", 0xFFFF0020: b"tcp_recvmsg", 0xFFFF0030: b"ext4_write_iter",
        0xFFFF0040: b"bad\x1b[2Jname",
    }  # fmt: skip
    rows = [
        {"ns": 700 * MS, "count": 1234, "reason": 1, "frames": 2, "frame_0": 0xFFFF0010,
         "frame_1": 0xFFFF0020},
        {"ns": 90 * MS, "count": 7, "reason": 2, "frames": 3, "frame_0": 0xFFFF0030,
         "frame_1": 0xFFFF0040, "frame_2": 0xABCDEF},
    ]  # fmt: skip
    crowded = [
        {**row, "runq_wait_ns": row["runq_wait_ns"] + 700 * MS if row["flags"] & RAN else 0}
        for row in base.processes.rows()
    ]
    files = [
        {"read_bytes": 5 << 20, "reads": 1283, "path": b"/var/lib/data/base/16384/2619"},
        {"write_bytes": 70_001, "writes": 11, "path": b"\xe2\x80\xa6/deep/bad\x1b[2Jname"},
        {"read_bytes": 70_000, "reads": 2, "path": b""},
    ]  # fmt: skip
    now_ns = base.taken_ns
    threads = [
        process(500, b"postgres", tid=500, call=8, call_since_ns=now_ns - 83 * MS,
                function=0xFFFF0010),
        process(500, b"wal\x1b[2J", tid=511, call=203, call_since_ns=now_ns - 7_300_000 * MS,
                function=0xABCDEF, state=ord("D")),
        process(500, b"busy", tid=512, state=ord("R")),
        process(501, b"other", tid=777),
    ]  # fmt: skip
    stacks = ProbeStatus("stacks", "on", "in sched, at switches after long waits", None, 0, 0)
    return replace(
        base, threads=table(threads), processes=table(crowded), probes=(*PROBES, stacks),
        looked_at=500, symbols=named,
        waits=Table(WAIT, b"".join(WAIT.pack(row) for row in rows)),
        files=Table(FILE, b"".join(FILE.pack(row) for row in files)),
    )  # fmt: skip


def remembering() -> Snapshot:
    """Processes that map and unmap: one seems to leak, one has many small mappings."""
    rows = [
        running(501, b"python3", 120, rss_bytes=700 << 20, rss_anon_bytes=650 << 20,
                rss_file_bytes=48 << 20, rss_shmem_bytes=2 << 20, mappings=331,
                virtual_bytes=3 * GIB, peak_rss_bytes=701 << 20, mmap_calls=211, munmap_calls=101,
                brk_calls=7, allocated_bytes=103 << 20, freed_bytes=99 << 20, minor_faults=5003),
        running(77, b"pieces", 40, rss_bytes=90 << 20, rss_anon_bytes=80 << 20,
                rss_file_bytes=10 << 20, mappings=30_011, virtual_bytes=900 << 20,
                mmap_calls=13, allocated_bytes=13 << 12, swap_bytes=5 << 20),
        running(90, b"filtered", 3, known=ALL_KNOWN - MEM_KNOWN, rss_anon_bytes=1 << 20),
        process(900, b"kworker/0:1", flags=KERNEL, known=0),
    ]  # fmt: skip
    leak = Leak(4_200_000.0, 0.9876, 171.0, 680 << 20, 690 << 20, "cgroup", 9 * GIB, 2300.9)
    history = tuple(Point(float(t), (20 + 3 * t + t % 13) << 20, 0) for t in range(0, 200, 2))
    sizes = {"pid": 501, "start_ns": 501 * 1_000_003, "sizes_0": 150, "sizes_1": 3, "sizes_5": 58}
    mem = ProbeStatus("mem", "on", "tp_btf/sys_exit, tp_btf/sys_enter", None, 0, 0)
    return replace(
        snapshot(rows), probes=(*PROBES, mem), sizes=Table(SIZES, SIZES.pack(sizes)),
        leaks={(501, 501 * 1_000_003): leak}, memory_history=history,
    )  # fmt: skip


def cpus(busy: Iterable[float | None]) -> Table:
    """A row a CPU; `None` is a CPU of which nothing was seen."""
    return Table(CPU, b"".join(
        CPU.pack({"cpu": number, "known": 0 if share is None else 1,
                  "user_ns": int((share or 0) * 800 * MS),
                  "system_ns": int((share or 0) * 200 * MS),
                  "idle_ns": int((1 - (share or 0)) * 1000 * MS)})
        for number, share in enumerate(busy)
    ))  # fmt: skip


def event(kind: str, pid: int, comm: bytes, **values: Any) -> dict[str, Any]:
    row = {
        "time_ns": NOW_NS - 500 * MS, "start_ns": pid * 1_000_003, "type": EVENT_TYPES.index(kind),
        "pid": pid, "tid": pid, "uid": 1000, "ppid": 100, "comm": comm, "thread_comm": comm,
    }  # fmt: skip
    row.update(values)
    return row


def events(rows: Iterable[dict[str, Any]]) -> Table:
    return Table(EVENT, b"".join(EVENT.pack(row) for row in rows))


def syscall(number: int, buckets: dict[int, int], **values: Any) -> dict[str, Any]:
    """One system call whose returned calls are in these log2 buckets."""
    spread = [1 << bucket for bucket, count in buckets.items() for _ in range(count)]
    at = {name: spread[len(spread) * part // 100] for name, part in _PARTS.items() if spread}
    row: dict[str, Any] = {
        "number": number, "calls": len(spread), "total_ns": sum(spread) * 3 // 2, **at,
        "min_ns": min(spread, default=0), "max_ns": max(spread, default=0) * 3 // 2,
    }  # fmt: skip
    row.update({f"histogram_{bucket}": count for bucket, count in buckets.items()})
    row.update(values)
    return row


_PARTS = {"p50_ns": 50, "p95_ns": 95, "p99_ns": 99}


def syscalls(rows: Iterable[dict[str, Any]]) -> Table:
    return Table(SYSCALL, b"".join(SYSCALL.pack(row) for row in rows))


PROBES = (
    ProbeStatus("sched", "on", "tp_btf/sched_switch,tp_btf/sched_wakeup", None, 1200, 96_000),
    ProbeStatus("life", "on", "tp_btf/sched_process_exec", None, 12, 24_000),
    ProbeStatus("tasks", "on", "iter/task", None, 1, 900_000),
)


def snapshot(
    rows: Iterable[dict[str, Any]],
    threads: Iterable[dict[str, Any]] = (),
    **changes: Any,
) -> Snapshot:
    """The machine whose processes these are; the active ones are put first, as C does."""
    ordered = list(rows)
    active = [row for row in ordered if row.get("flags", 0) & (RAN | BORN | EXITED)]
    idle = [row for row in ordered if not row.get("flags", 0) & (RAN | BORN | EXITED)]
    idle.sort(key=lambda row: int(row["pid"]))
    system = System(
        cpu_percent=123.4, processes=len(ordered), threads=len(ordered) + 12, started=3, exited=2,
        execs=4, context_switches=12_345, syscalls=98_765, opens=None,
        active=len(active), run_queue=0.13, run_queue_p99_ns=140_000,
        cpu_parts=CpuParts(95.0, 0.0, 25.4, 1.2, 1.3, 0.5, 0.0, 4.6, 72.0),
        allocated_bytes=5 << 20, freed_bytes=3 << 20,
    )  # fmt: skip
    nothing = dict.fromkeys(LOSSES, 0)
    base = Snapshot(
        time=1_700_000_000.25, taken_ns=NOW_NS, interval_s=1.0, source="bpf", source_reason=None,
        cumulative=False,
        host=Host(b"testhost", 273_840.0, (0.52, 0.41, 0.30), 16 * GIB, 11 * GIB, 2,
                  4 * GIB, 3 * GIB, 0, 0, 12 << 20,
                  {"cpu": (2.5, 0.0), "memory": (0.0, 0.0), "io": (11.0, 4.0)}),
        system=system,
        self_cost=SelfCost(0.7, 31 << 20, 1_020_000, 0.1, 19, dict(nothing), dict(nothing)),
        probes=PROBES, processes=table([*active, *idle]), threads=table(threads),
        cpus=cpus((0.42, 0.81)), events=events(()), text=b"",
        users={0: "root", 1000: "alice", 33: "www-data", 1001: "averylongusername"},
    )  # fmt: skip
    return replace(base, **changes)


def crowd(sleeping: int, awake: int = 20) -> Snapshot:
    """Many that sleep and some that run: the case whose cost must not grow with the sleepers."""
    rows = [process(1000 + number, b"sleeper") for number in range(sleeping)]
    rows += [running(100 + number, b"worker", 40 * number + 3) for number in range(awake)]
    return snapshot(rows)


def office() -> Snapshot:
    """A small mixed machine: the one of most golden screens."""
    text = b"sh\0-c\0exit 3\0"
    rows = [
        running(1, b"systemd", 4, uid=0, ppid=0, threads=1, rss_bytes=12 << 20),
        process(2, b"kthreadd", uid=0, ppid=0, flags=KERNEL, rss_bytes=0, virtual_bytes=0),
        process(14, b"ksoftirqd/0", uid=0, ppid=2, rss_bytes=0, virtual_bytes=0),
        process(310, b"sshd", uid=0),
        running(412, b"nginx", 180, uid=33, threads=4, rss_bytes=90 << 20),
        process(413, b"nginx", uid=33, ppid=412),
        running(500, b"postgres", 320, uid=1001, threads=7, rss_bytes=3 * GIB),
        running(501, b"python3", 981, ppid=310, threads=12, rss_bytes=700 << 20),
        exited(600, b"sh", 3 << 8, ppid=501, text=0, text_bytes=len(text)),
        exited(601, b"true", 0, ppid=501),
        exited(602, b"sleep", 9, ppid=501),
        process(700, b"zombie", state=ord("Z"), flags=EXITED, known=ALL_KNOWN | EXIT_KNOWN),
        process(800, b"unknown", known=0, start_ns=0, rss_bytes=0),
    ]
    log = events(
        [
            event("exec", 600, b"sh", ppid=501, text=0, text_bytes=len(text)),
            event("exit", 600, b"sh", ppid=501, exit_code=3 << 8, duration_ns=12 * MS),
            event("exit", 601, b"true", ppid=501, exit_code=0, duration_ns=2 * MS),
            event("exit", 602, b"sleep", ppid=501, exit_code=9, duration_ns=30_000 * MS),
        ]
    )
    return replace(snapshot(rows), events=log, text=text)


def slow(pid: int, comm: bytes, parts: bytes, **values: Any) -> tuple[dict[str, Any], bytes]:
    """An event of an operation that took long, and its text."""
    text = SLOW.pack({"duration_ns": 31 * MS, "about": 2, "parts": parts, **values})
    return event("slow", pid, comm, text_bytes=len(text), duration_ns=31 * MS), text


def logging() -> Snapshot:
    """The office with all that panel 4 can log: allocations, slow calls and requests."""
    found = [
        slow(501, b"python3", b"/etc/hostname", kind=0, call=3, result=-2),
        slow(501, b"python3", b"", kind=0, call=233, result=0),  # epoll_wait: no news
        slow(500, b"postgres", b"vda", kind=1, about=4, evidence=1, bytes=16384),
        slow(500, b"postgres", b"bad\x1b[2Jname", kind=0, call=75, result=0),
    ]
    text = b"".join(part for _, part in found)
    rows = [{**row, "text": index * SLOW.stride} for index, (row, _) in enumerate(found)]
    rows.append(event("mem", 501, b"python3", allocated_bytes=3 << 20))
    return replace(office(), events=events(rows), text=text)


def calling() -> Snapshot:
    """The office with its system calls and opens counted; numbers are those of x86-64."""
    names = (b"/etc/hostname", b"", b"/no/such\x1b[2J", b"/very/long", b"relative.txt")
    text = b"".join(names)
    marks = (0, 0, 0, TEXT_CUT, TEXT_UNREAD)
    results = (3, -2, -13, 17, -14)
    opens = [
        event("open", 501, b"python3", result=result, marks=mark, text=text.index(name),
              text_bytes=len(name), duration_ns=9000)
        for name, mark, result in zip(names, marks, results)
    ]  # fmt: skip
    table = syscalls([
        syscall(0, {8: 40, 9: 300, 10: 800, 11: 90, 14: 12, 20: 3}, errors=7),
        syscall(1, {9: 500, 10: 100}),
        syscall(202, {8: 700, 12: 50, 22: 41, 25: 2}, errors=130),
        syscall(257, {11: 31, 12: 96, 13: 4}, errors=64),
        syscall(60, {}, calls=17),
        syscall(295, {12: 5}, compat=1),
        syscall(999, {7: 1}, errors=1),
    ])  # fmt: skip
    quiet = [process(1000 + n, b"idle") for n in range(3)]
    busy = running(501, b"python3", 981, syscalls=1245, syscall_errors=7, syscall_ns=900 * MS,
                   syscalls_file_io=1131, syscalls_sync=110, syscalls_other=4)  # fmt: skip
    base = snapshot([busy, *quiet])
    probes = (
        *PROBES,
        ProbeStatus("syscall", "on", "tp_btf/sys_enter,tp_btf/sys_exit", None, 9, 9000),
        ProbeStatus("open", "on", "tp_btf/sys_enter,tp_btf/sys_exit", None, 9, 9000),
    )
    return replace(
        base, events=events(opens), text=text, syscalls=table, window_s=1.0, probes=probes,
        system=replace(base.system, opens=5),
    )  # fmt: skip


def disk(name: bytes, reads: int, writes: int, latency_ns: int, **values: Any) -> dict[str, Any]:
    """One disk of which all is known; requests of 16 KiB that take about `latency_ns`."""
    row: dict[str, Any] = {
        "name": name, "known": (1 << len(DISK_FACTS)) - 1, "reads": reads, "writes": writes,
        "read_bytes": reads << 14, "write_bytes": writes << 14, "timed": reads + writes,
        "latency_ns": (reads + writes) * latency_ns, "latency_min_ns": latency_ns // 2,
        "latency_p50_ns": latency_ns, "latency_p99_ns": 3 * latency_ns,
        "latency_max_ns": 7 * latency_ns, "queued_p50_ns": latency_ns + 5000,
        "queued_p99_ns": 4 * latency_ns, "sequential": reads // 2,
        "queue_ns": reads % 7 * 1000 * MS, "busy_ns": 130 * MS,
    }  # fmt: skip
    row.update(values)
    return row


def storing() -> Snapshot:
    """Processes that read and write, on a busy disk, an idle one, and one known from /proc only."""
    known = ALL_KNOWN | DISK_KNOWN
    rows = [
        running(501, b"dd", 120, known=known, disk_read_bytes=211 << 14, disk_reads=211,
                disk_latency_ns=211 * 90_000, disk_sequential=210, disk_timed=211,
                disk_latency_min_ns=40_000, disk_latency_p99_ns=260_000,
                disk_latency_max_ns=1_310_000),
        running(77, b"postgres", 40, known=known, disk_write_bytes=101 << 13, disk_writes=101,
                disk_latency_ns=101 * 900_000, disk_sequential=3, disk_timed=101,
                disk_latency_min_ns=300_000, disk_latency_p99_ns=41_000_000,
                disk_latency_max_ns=63_000_000, flags=RAN | DISK_SLOW),
        running(0, b"[writeback]", 0, known=DISK_KNOWN, disk_write_bytes=37 << 20, disk_writes=41,
                disk_latency_ns=41 * 2 * MS, disk_timed=41, disk_latency_p99_ns=9 * MS,
                disk_latency_max_ns=9 * MS, flags=RAN | KERNEL),
        process(900, b"idle", known=known),
        process(901, b"kworker/0:1", flags=KERNEL),
    ]  # fmt: skip
    known_to_proc = 0b1101
    disks = [
        disk(b"nvme0n1", 211, 142, 700_000, busy_ns=970 * MS, errors=2, discards=3),
        disk(b"sda", 0, 0, 0, busy_ns=0),
        disk(b"vdb\x1b[2J", 7, 0, 0, known=known_to_proc),
    ]
    status = ProbeStatus("block", "on", "tp_btf/block_rq_complete", None, 99, 9900)
    return replace(
        snapshot(rows), probes=(*PROBES, status),
        disks=Table(DISK, b"".join(DISK.pack(row) for row in disks)),
    )  # fmt: skip


def connection(local: str, remote: str, state: str, **values: Any) -> dict[str, Any]:
    """One connection; places are as `192.0.2.1:80` or `[2001:db8::1]:80`, `remote` may be empty."""
    row = {
        "socket": 0xFFFF888000000000, "state": STATES.index(state), "flags": CONN_COUNTED,
        "netns": 4026531840, "start_ns": NOW_NS - 90_000 * MS, "since_ns": NOW_NS - 80_000 * MS,
    }  # fmt: skip
    for end, text in (("s", local), ("d", remote)):
        host, _, port = text.rpartition(":")
        address = ip_address(host.strip("[]")) if host else ip_address("0.0.0.0")
        row["family"] = address.version
        row[f"{end}port"] = int(port or 0)
        words = struct.unpack(f"={len(address.packed) // 4}I", address.packed)
        row.update({f"{end}addr_{index}": word for index, word in enumerate(words)})
    row.update(values)
    return row


def talking() -> Snapshot:
    """The office with its connections."""
    owner = {"pid": 501, "tid": 501, "uid": 1000, "comm": b"python3"}
    rows = [
        connection("0.0.0.0:80", "", "LISTEN", pid=412, comm=b"nginx", backlog=3, backlog_max=511,
                   drops=7, socket=1),
        connection("192.0.2.7:80", "198.51.100.9:50412", "ESTABLISHED", pid=412, comm=b"nginx",
                   flags=CONN_COUNTED | CONN_IN, tx_bytes=48_210_003, rx_bytes=1009, rtt_us=18_300,
                   retransmits=13, segments=1040, socket=2),
        connection("[2001:db8:85a3:8d3:1319:8a2e:370:7348]:50001", "[2001:db8::1]:443",
                   "ESTABLISHED", **owner, flags=CONN_COUNTED | CONN_OUT, tx_bytes=719,
                   rx_bytes=3 << 20, rtt_us=640, segments=101, socket=3),
        connection("127.0.0.1:40002", "127.0.0.1:8080", "SYN_SENT", **owner, start_ns=NOW_NS - MS,
                   flags=CONN_COUNTED | CONN_OUT, socket=4),
        connection("127.0.0.1:40003", "127.0.0.1:5432", "CLOSE_WAIT", start_ns=0, since_ns=0,
                   pid=900, comm=b"a\x1b[2Jb\nc", tx_bytes=0, rx_bytes=12, rtt_us=51, socket=5,
                   segments=3, flags=CONN_COUNTED | CONN_LEFT),
        connection("127.0.0.1:22", "203.0.113.5:61022", "ESTABLISHED", start_ns=0, flags=0,
                   socket=6),
        *(connection("127.0.0.1:40010", "127.0.0.1:1", "CLOSE", **owner, end_ns=NOW_NS - 7000 * MS,
                     start_ns=NOW_NS - 7001 * MS, flags=CONN_COUNTED | CONN_OUT | CONN_CLOSED,
                     reason=reason, tx_bytes=100 + reason, socket=10 + reason)
          for reason in range(6)),
    ]  # fmt: skip
    net = {"net_tx_bytes": 48_210_003, "net_rx_bytes": 1009, "retransmits": 13, "segments": 1040,
           "connections": 1, "connections_accepted": 7, "known": ALL_KNOWN | NET_KNOWN}  # fmt: skip
    base = snapshot([
        running(412, b"nginx", 120, **net),
        running(501, b"python3", 40, known=ALL_KNOWN | NET_KNOWN, connections=2,
                connections_opened=6, connection_errors=4, net_tx_bytes=819),
        process(900, b"a\x1b[2Jb\nc", known=ALL_KNOWN | NET_KNOWN),
    ])  # fmt: skip
    tcp = ProbeStatus("tcp", "on", "tp_btf/inet_sock_set_state", None, 9, 9000)
    data = b"".join(CONNECTION.pack(row) for row in rows)
    return replace(base, connections=Table(CONNECTION, data), probes=(*PROBES, tcp))


OFFICE_CMDLINES = {
    (1, 1_000_003): b"/sbin/init\0splash\0",
    (412, 412 * 1_000_003): b"nginx: master process /usr/sbin/nginx\0",
    (
        500,
        500 * 1_000_003,
    ): b"/usr/lib/postgresql/15/bin/postgres\0-D\0/var/lib/main\0",
    (501, 501 * 1_000_003): b"python3\0-m\0http.server\0--bind\x00127.0.0.1\0",
}
