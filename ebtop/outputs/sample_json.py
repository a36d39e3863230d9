# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the JSON sample: names, units and order of its keys, as the interface promises them.

Every key is always there; what this version, kernel or privilege cannot give is null, never 0.
The output is ASCII without control characters, one object a line, whatever names exist.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any, Optional

from ebtop.model import disk_table, syscallnames
from ebtop.model.callnow import call_now, call_now_ns
from ebtop.model.connection_table import (
    LISTEN,
    address,
    close_reason,
    counted,
    direction,
    drops,
    duration_ns,
    is_closed,
    is_left,
    passing,
    rtt_ns,
    state_name,
)
from ebtop.model.filters import RowFilter
from ebtop.model.layout import (
    CATEGORIES,
    CONN_COUNTED,
    COUNTERS,
    DIVIDED,
    EXITED,
    FACTS,
    KERNEL,
    KNOWN_BIT,
    LOG2_BUCKETS,
    MEMORY_PARTS,
    SIZE_FROM,
)
from ebtop.model.process_table import (
    Cmdlines,
    Context,
    Row,
    cpu_percent,
    exit_status,
    hit_ratio,
    is_judged,
    leak_of,
    memory_part,
    name_of,
    raw_cmdline,
    state_letter,
    watch_of,
)
from ebtop.model.rows import EVERY_PROCESS, Order, RowQuery, order_rows
from ebtop.model.snapshot import CpuParts, Pressure, Snapshot
from ebtop.model.waitreasons import REASONS
from ebtop.outputs.memoryhints import fragments_of, size_classes
from ebtop.sources.cgroups import CgroupPaths
from ebtop.sources.procparse import CPU_PARTS
from ebtop.text import data_text

SCHEMA = 1

_ORDER = (
    # identity
    "pid", "ppid", "uid", "user", "comm", "cmdline", "start_ns", "state", "threads", "cgroup",
    "container", "exited", "exit_code",
    # CPU
    "cpu_percent", "oncpu_ns", "user_ns", "kernel_ns", "offcpu_ns", "runq_wait_ns",
    "voluntary_switches", "involuntary_switches", "migrations",
    # waiting
    "wait_ns",
    # disk
    "disk_read_bytes", "disk_write_bytes", "disk_reads", "disk_writes", "disk_latency_min_ns",
    "disk_latency_avg_ns", "disk_latency_p99_ns", "disk_latency_max_ns", "disk_sequential_ratio",
    "disk_written_later_bytes", "disk_written_back_bytes",
    # files
    "file_read_bytes", "file_write_bytes", "cache_hit_ratio", "opens",
    # network
    "net_tx_bytes", "net_rx_bytes", "connections", "connections_opened", "connections_accepted",
    "retransmits", "segments", "connection_errors",
    # system calls
    "syscalls", "syscall_ns", "syscall_errors", "syscall_categories",
    # in the kernel now
    "syscall_now", "syscall_now_ns", "kernel_function",
    # memory
    "rss_bytes", "rss_anon_bytes", "rss_file_bytes", "rss_shmem_bytes", "swap_bytes",
    "virtual_bytes", "peak_rss_bytes", "mappings", "mmap_calls", "munmap_calls", "brk_calls",
    "allocated_bytes", "freed_bytes", "minor_faults", "major_faults",
    "allocation_histogram", "memory_hints",
    # what user, kernel, run queue and waits add up to
    "lifetime_ns",
    # how user and kernel time came about
    "split",
)  # fmt: skip

_PLAIN = ("start_ns", "ppid", "uid", "threads", "rss_bytes", "virtual_bytes", "peak_rss_bytes")
_WAIT_COUNTERS = {f"wait_{reason}_ns": reason for reason in REASONS}
_CATEGORY_COUNTERS = {"syscalls_" + category: category for category in CATEGORIES}
_NOT_KEYS = {*_CATEGORY_COUNTERS, *_WAIT_COUNTERS, "disk_latency_ns", "disk_sequential",
             "cached_read_bytes", "cache_added_bytes"}  # fmt: skip
PROCESS_KEYS = tuple(
    dict.fromkeys((*_ORDER, *(name for name in COUNTERS if name not in _NOT_KEYS)))
)
"""A counter that has no place among them comes at the end."""
_TEMPLATE = dict.fromkeys(PROCESS_KEYS)
_MASKED = tuple(
    (name, 1 << KNOWN_BIT[name]) for name in (*COUNTERS, *_PLAIN) if name not in _NOT_KEYS
)
_DISKS_KNOWN = 1 << KNOWN_BIT["disk_reads"]
_SYSCALLS_KNOWN = 1 << KNOWN_BIT["syscalls"]
_WAITS_KNOWN = 1 << KNOWN_BIT["wait_other_ns"]
_SPLIT_KNOWN = 1 << KNOWN_BIT["user_ns"]
_ALLOCATED_KNOWN = 1 << KNOWN_BIT["allocated_bytes"]
_EXIT_KNOWN = 1 << FACTS["exit_code"]
_UID_KNOWN = 1 << FACTS["uid"]
_CGROUP_KNOWN = 1 << FACTS["cgroup_id"]


def sample_line(
    snapshot: Snapshot,
    query: RowQuery = EVERY_PROCESS,
    cmdlines: Optional[Cmdlines] = None,
    limit: Optional[int] = None,
    cgroups: Optional[CgroupPaths] = None,
) -> str:
    """One sample as one line, its newline included."""
    context = Context.of(snapshot, cmdlines, ascii=False)
    sample = {
        "schema": SCHEMA,
        "type": "sample",
        "time": utc_text(snapshot.time),
        "interval_s": round(snapshot.interval_s, 6),
        "source": snapshot.source,
        "system": _system(snapshot),
        "self": self_cost(snapshot),
        "probes": probes(snapshot),
        "processes": _tasks(False, context, query, limit, cgroups),
        "threads": _tasks(True, context, query, limit, cgroups) if query.threads else [],
        "syscalls": []
        if snapshot.syscalls is None
        else list(map(syscall, snapshot.syscalls.rows())),
        "connections": _connections(snapshot, query.filter),
        "disks": []
        if snapshot.disks is None
        else [disk(row, snapshot.counted_s) for row in snapshot.disks.rows()],
    }
    text = json.dumps(sample, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    # the encoder leaves this one control character, which can only stand inside a string
    return text.replace("\x7f", "\\u007f") + "\n"


def utc_text(seconds: float) -> str:
    """A moment since the epoch."""
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S.%fZ}"


def _failed_execs(snapshot: Snapshot) -> Optional[int]:
    """Failed execs in the window of the table of system calls."""
    if snapshot.syscalls is None:
        return None
    rows = snapshot.syscalls.rows()
    execs = (row for row in rows if syscallnames.name_in(row) in ("execve", "execveat"))
    return sum(int(row["errors"]) for row in execs)


def _system(snapshot: Snapshot) -> dict[str, Any]:
    system, host = snapshot.system, snapshot.host
    load = host.load or (None, None, None)
    return {
        "cpus": host.cpus,
        "cpu_percent": _rounded(system.cpu_percent),
        **_cpu_parts(system.cpu_parts),
        "run_queue": _rounded(system.run_queue),
        "run_queue_p99_ns": system.run_queue_p99_ns,
        "pressure": _pressure(host.pressure),
        "load1": load[0],
        "load5": load[1],
        "load15": load[2],
        "memory_total_bytes": host.memory_total_bytes,
        "memory_available_bytes": host.memory_available_bytes,
        "swap_total_bytes": host.swap_total_bytes,
        "swap_free_bytes": host.swap_free_bytes,
        "huge_pages_total_bytes": host.huge_pages_total_bytes,
        "huge_pages_free_bytes": host.huge_pages_free_bytes,
        "anon_huge_pages_bytes": host.anon_huge_pages_bytes,
        "allocated_bytes": system.allocated_bytes,
        "freed_bytes": system.freed_bytes,
        "processes": system.processes,
        "threads": system.threads,
        "listen_overflows": system.listening.overflows,
        "listen_drops": system.listening.drops,
        "started": system.started,
        "exited": system.exited,
        "execs": system.execs,
        "failed_execs": _failed_execs(snapshot),
        "context_switches": system.context_switches,
        "syscalls": system.syscalls,
    }


def _cpu_parts(parts: Optional[CpuParts]) -> dict[str, Optional[float]]:
    return {
        f"cpu_{name}_percent": None if parts is None else _rounded(getattr(parts, name))
        for name in CPU_PARTS
    }


def _pressure(pressure: Optional[Pressure]) -> Optional[dict[str, dict[str, Optional[float]]]]:
    if pressure is None:
        return None
    return {name: {"some": some, "full": full} for name, (some, full) in pressure.items()}


def self_cost(snapshot: Snapshot) -> dict[str, Any]:
    """What ebtop itself costs, has lost, and how full its tables are."""
    cost, spending = snapshot.self_cost, snapshot.spending
    return {
        "cpu_percent": _rounded(cost.cpu_percent),
        "rss_bytes": cost.rss_bytes,
        "probe_ns": cost.probe_ns,
        "probe_cpu_percent": _rounded(cost.probe_cpu_percent),
        "budget_percent": spending and spending.budget_percent,
        "machine_percent": _rounded(spending.percent if spending else None),
        "shed": [data_text(name) for name in spending.shed] if spending else [],
        "sampled": [data_text(name) for name in spending.sampled] if spending else [],
        "over_budget": bool(spending and spending.stuck),
        "events": cost.events,
        "lost": dict(cost.lost),
        "lost_total": dict(cost.lost_total),
        "tables": {
            name: {"used": used, "room": room} for name, (used, room) in snapshot.tables.items()
        },
        "source_reason": snapshot.source_reason and data_text(snapshot.source_reason),
    }


def probes(snapshot: Snapshot) -> list[dict[str, Any]]:
    """All probes, with the hooks they are attached to."""
    return [
        {
            "name": data_text(probe.name),
            "state": probe.state,
            "hook": data_text(probe.hook),
            "reason": None if probe.reason is None else data_text(probe.reason),
            "runs": probe.runs,
            "run_ns": probe.run_ns,
            "every": probe.every,
        }
        for probe in snapshot.probes
    ]


def _tasks(
    threads: bool,
    context: Context,
    query: RowQuery,
    limit: Optional[int],
    cgroups: Optional[CgroupPaths],
) -> list[dict[str, Any]]:
    # a program makes its own tree of `ppid`
    order: Order = order_rows(query._replace(threads=threads, tree=False), context)
    rows = order.window(0, len(order) if limit is None else limit)
    return [task(order.table.row(index), context, threads, cgroups) for index in rows]


def task(
    row: Row, context: Context, thread: bool = False, cgroups: Optional[CgroupPaths] = None
) -> dict[str, Any]:
    """One process, or with `thread` one thread: the same keys and `tid`."""
    known = row["known"]
    values: dict[str, Any] = dict(_TEMPLATE)
    for name, mask in _MASKED:
        if known & mask:
            values[name] = row[name]
    snapshot = context.snapshot
    user = snapshot.users.get(row["uid"]) if known & _UID_KNOWN else None
    args = None if thread else raw_cmdline(row, context)
    ended = bool(row["flags"] & EXITED)
    values["pid"] = row["pid"]
    values["user"] = None if user is None else data_text(user)
    values["comm"] = data_text(name_of(row, snapshot))
    values["cmdline"] = None if args is None else data_text(args)
    values["state"] = state_letter(row)
    values["exited"] = ended
    values["exit_code"] = exit_status(row["exit_code"]) if ended and known & _EXIT_KNOWN else None
    if cgroups is not None and known & _CGROUP_KNOWN:
        values.update(_cgroup(row, cgroups))
    values["cpu_percent"] = _rounded(cpu_percent(row, snapshot.counted_s))
    values["cache_hit_ratio"] = _rounded(hit_ratio(row))
    if known & _SYSCALLS_KNOWN:
        values["syscall_categories"] = {
            category: row[name] for name, category in _CATEGORY_COUNTERS.items()
        }
    if known & _DISKS_KNOWN:
        values.update(_disk_times(row))
    values.update(_memory(row, context))
    if known & _WAITS_KNOWN:
        values["wait_ns"] = {reason: row[name] for name, reason in _WAIT_COUNTERS.items()}
    values.update(_now(row, snapshot))
    if not thread and row["oncpu_ns"] and known & _SPLIT_KNOWN:
        values["split"] = "counted" if row["flags"] & DIVIDED else "sampled"
    if thread:
        values["tid"] = row["tid"]
        values["thread_comm"] = values["comm"]
        kernel = bool(row["flags"] & KERNEL)
        values["process_comm"] = values["comm"] if kernel else data_text(row["process_comm"])
    return values


def _now(row: Row, snapshot: Snapshot) -> dict[str, Any]:
    function = snapshot.symbols.get(row["function"])
    return {
        "syscall_now": call_now(row),
        "syscall_now_ns": call_now_ns(row, snapshot),
        "kernel_function": data_text(function) if function else None,
    }


def syscall(row: Row) -> dict[str, Any]:
    """One system call; latencies are null when none returned."""
    histogram = [row[f"histogram_{i}"] for i in range(LOG2_BUCKETS)]
    latencies = ("min_ns", "max_ns", "p50_ns", "p95_ns", "p99_ns")
    return {
        "name": syscallnames.name_in(row),
        "number": None if row["many"] else row["number"],
        "compat": bool(row["compat"]),
        "calls": row["calls"],
        "errors": row["errors"],
        "total_ns": row["total_ns"],
        **{name: row[name] if any(histogram) else None for name in latencies},
        "histogram": histogram,
    }


def _memory(row: Row, context: Context) -> dict[str, Any]:
    values: dict[str, Any] = {name: memory_part(row, name) for name in MEMORY_PARTS}
    if row["tid"] == row["pid"]:
        values["allocation_histogram"] = _allocations(row, context.snapshot)
        values["memory_hints"] = _hints(row, context)
    return values


def _allocations(row: Row, snapshot: Snapshot) -> Optional[list[int]]:
    """Element i counts sizes in [2^i, 2^(i+1)) bytes; empty when there were none."""
    if snapshot.sizes is None or not row["known"] & _ALLOCATED_KNOWN:
        return None
    found = size_classes(snapshot.sizes, row)
    return [*[0] * SIZE_FROM, *found] if found else []


def _hints(row: Row, context: Context) -> Optional[list[dict[str, Any]]]:
    hints: list[dict[str, Any]] = []
    leak = leak_of(row, context)
    if leak is not None:
        hints.append({
            "kind": "leak", "bytes_per_s": round(leak.bytes_per_s), "r2": round(leak.r2, 3),
            "span_s": round(leak.span_s, 3), "grown_bytes": leak.grown_bytes,
            "unreturned_bytes": leak.unreturned_bytes, "limit": leak.limit,
            "room_bytes": leak.room_bytes, "full_s": _rounded(leak.full_s),
        })  # fmt: skip
    fragments = fragments_of(row)
    if fragments is not None:
        hints.append({
            "kind": "fragmentation", "mappings": fragments.mappings,
            "average_bytes": fragments.average_bytes, "limit": fragments.limit,
        })  # fmt: skip
    watch = watch_of(row, context)
    judged = is_judged(row, context) and (watch is None or watch.is_enough)
    return hints if hints or judged else None


def _disk_times(row: Row) -> dict[str, Any]:
    """Of the process's requests; null when it had none."""
    requests = row["disk_reads"] + row["disk_writes"]
    ratio = min(1.0, row["disk_sequential"] / requests) if requests else None
    if not row["disk_timed"]:
        return {"disk_sequential_ratio": ratio}
    return {
        "disk_latency_min_ns": row["disk_latency_min_ns"],
        "disk_latency_avg_ns": row["disk_latency_ns"] // row["disk_timed"],
        "disk_latency_p99_ns": row["disk_latency_p99_ns"],
        "disk_latency_max_ns": row["disk_latency_max_ns"],
        "disk_sequential_ratio": ratio if ratio is None else round(ratio, 6),
    }


def disk(row: Row, seconds: float) -> dict[str, Any]:
    """One disk; `seconds` is the time that the row covers."""
    return {"name": data_text(row["name"]), **disk_table.values(row, seconds)}


def _connections(snapshot: Snapshot, keep: RowFilter) -> list[dict[str, Any]]:
    table = snapshot.connections
    if table is None:
        return []
    rows = passing(snapshot, keep) if keep else range(len(table))
    return [connection(table.row(index), snapshot.taken_ns) for index in rows]


def connection(row: Row, now_ns: int) -> dict[str, Any]:
    """One connection, or a listening socket: that has no other end, but a backlog."""
    listens = row["state"] == LISTEN
    known = bool(row["flags"] & CONN_COUNTED)
    return {
        "family": row["family"],
        "saddr": address(row, "saddr"),
        "sport": row["sport"] or None,
        "daddr": None if listens else address(row, "daddr"),
        "dport": None if listens else row["dport"],
        "state": state_name(row["state"]),
        "direction": direction(row),
        "pid": row["pid"] or None,
        "comm": data_text(row["comm"]) if row["pid"] else None,
        "uid": row["uid"] if row["pid"] else None,
        "left": is_left(row),
        "netns": row["netns"],
        "start_ns": row["start_ns"] or None,
        "duration_ns": duration_ns(row, now_ns),
        "tx_bytes": counted(row, "tx_bytes"),
        "rx_bytes": counted(row, "rx_bytes"),
        "retransmits": counted(row, "retransmits"),
        "segments": counted(row, "segments"),
        "rtt_ns": rtt_ns(row),
        "backlog": row["backlog"] if listens and known else None,
        "backlog_max": row["backlog_max"] if listens and known else None,
        "drops": drops(row),
        "closed": is_closed(row),
        "close_reason": close_reason(row),
    }


def _cgroup(row: Row, cgroups: CgroupPaths) -> dict[str, Optional[str]]:
    path, container = cgroups.of(row)
    return {
        "cgroup": None if path is None else data_text(path),
        "container": None if container is None else data_text(container),
    }


def _rounded(value: Optional[float]) -> Optional[float]:
    return None if value is None else round(value, 3)
