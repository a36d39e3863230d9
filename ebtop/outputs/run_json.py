# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the report of `ebtop run` as data: the keys that the interface names, and the few beside
them that say on what it was measured and how each figure came about.

The tree is model/process_tree.py's, a process as JSON sample_json.py's, the text runtext.py's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from ebtop.model.layout import EXITED
from ebtop.model.process_table import Context, Row
from ebtop.model.process_tree import ProcessTree
from ebtop.model.runcost import RunCost
from ebtop.model.snapshot import Snapshot
from ebtop.model.stacks import frames
from ebtop.model.syscallnames import name_in
from ebtop.model.waitreasons import REASONS
from ebtop.outputs import sample_json
from ebtop.sources.cgroups import CgroupPaths
from ebtop.text import data_text

_NOT_SUMMED = ("pid", "ppid", "uid", "user", "comm", "cmdline", "start_ns", "state", "cgroup",
               "container", "exited", "exit_code", "disk_latency_p99_ns", "allocation_histogram",
               "memory_hints", "rss_anon_bytes", "rss_file_bytes", "rss_shmem_bytes", "swap_bytes",
               "mappings")  # fmt: skip
_OF_FILES = ("oncpu_ns", "user_ns", "kernel_ns", "minor_faults", "major_faults",
             "voluntary_switches", "involuntary_switches")  # fmt: skip
_OPENING = ("open", "openat", "openat2", "creat", "open_by_handle_at")
_TICKS = ("user_ns", "kernel_ns", "cpu_percent")
_LOOKS = ("rss_bytes", "peak_rss_bytes", "virtual_bytes", "threads")


@dataclass(frozen=True)
class Usage:
    """The resource usage that wait4(2) reports for the command and its awaited descendants."""

    user_ns: int
    kernel_ns: int
    peak_rss_bytes: int
    """The largest of any one process."""
    minor_faults: int
    major_faults: int
    blocks_in: int
    blocks_out: int
    voluntary_switches: int
    involuntary_switches: int
    held_ns: Optional[int] = None
    """The part of its CPU time that our fork used before it executed the command."""


@dataclass(frozen=True)
class Run:
    """A finished run."""

    words: tuple[bytes, ...]
    exit_code: Optional[int]
    duration_ns: int
    tree: ProcessTree
    last: Snapshot
    machine: dict[str, Any]
    usage: Optional[Usage] = None
    began: float = 0.0
    cost: RunCost = field(default_factory=RunCost)
    lost: dict[str, int] = field(default_factory=dict)

    @property
    def exact(self) -> bool:
        return self.last.source == "bpf"

    def processes(self) -> Iterator[dict[str, Any]]:
        """As in a sample, cumulative."""
        context = self._context()
        cgroups = CgroupPaths() if self.exact else None
        for row in self.tree.rows():
            yield self._process(row, context, cgroups)

    def _process(
        self, row: Row, context: Context, cgroups: Optional[CgroupPaths]
    ) -> dict[str, Any]:
        values = sample_json.task(row, context, False, cgroups)
        if row["pid"] != self.tree.pid or not self.words:
            return values
        if values["exited"] and values["exit_code"] is None:
            values["exit_code"] = self.exit_code
        if not self.tree.has_peak(row):
            values["peak_rss_bytes"] = None
        return values

    def total(self) -> dict[str, Any]:
        values = sample_json.task(self.tree.total(), self._context())
        for key in _NOT_SUMMED:
            values.pop(key)
        values["processes"] = len(self.tree.members)
        if values["opens"] is None:
            values["opens"] = opens(self.last)
        if not self.exact and self.usage is not None:
            values.update(_of_usage(self.usage))
            if self.duration_ns:
                values["cpu_percent"] = round(values["oncpu_ns"] * 100 / self.duration_ns, 3)
        if values["peak_rss_bytes"] is not None and self.usage is not None:
            peak = self.usage.peak_rss_bytes
            if peak > self.tree.floor_rss_bytes:
                values["peak_rss_bytes"] = max(peak, values["peak_rss_bytes"])
        return values

    def figures(self, total: dict[str, Any]) -> dict[str, str]:
        """Of each key of the total: counted, sampled, or missing."""
        return {key: self._figure(key, value) for key, value in total.items()}

    def _figure(self, key: str, value: Any) -> str:
        if value is None:
            return "missing"
        if key in _LOOKS:
            return "sampled"
        if self.exact:
            return "sampled" if key in _TICKS[:2] and self.tree.sampled_times else "counted"
        return "counted" if self.usage is not None and key in _OF_FILES else "sampled"

    def _context(self) -> Context:
        return Context(snapshot=self.whole(), cmdlines=self.tree.args, ascii=False)

    def whole(self) -> Snapshot:
        """The last snapshot, as one of the whole run: percentages are of the run, without the setup
        time."""
        began_ns = self.last.taken_ns - self.duration_ns
        users, probes = self.tree.users, self.cost.probes() or self.last.probes
        return replace(
            self.last, users=users, since_ns=began_ns, cumulative=True, text=b"", probes=probes
        )

    def still_running(self) -> int:
        return sum(not one.ended for one in self.tree.members.values())


def opens(last: Snapshot) -> Optional[int]:
    """The number of opens, counted by system calls, failed ones included."""
    if last.syscalls is None:
        return None
    rows = last.syscalls.rows()
    calls = [row for row in rows if name_in(row) in _OPENING]
    return sum(int(row["calls"]) for row in calls)


def _of_usage(usage: Usage) -> dict[str, int]:
    return {
        "oncpu_ns": usage.user_ns + usage.kernel_ns,
        "user_ns": usage.user_ns,
        "kernel_ns": usage.kernel_ns,
        "minor_faults": usage.minor_faults,
        "major_faults": usage.major_faults,
        "voluntary_switches": usage.voluntary_switches,
        "involuntary_switches": usage.involuntary_switches,
    }


def json_pieces(run: Run) -> Iterator[str]:
    """The object in pieces, a process each: there may be a great many. The newline is included."""
    total = run.total()
    head = {
        "schema": sample_json.SCHEMA,
        "type": "run",
        "command": [data_text(word) for word in run.words],
        "exit_code": run.exit_code,
        "duration_ns": run.duration_ns,
        "time": sample_json.utc_text(run.began),
        "source": run.last.source,
        "source_reason": run.last.source_reason and data_text(run.last.source_reason),
        "still_running": run.still_running(),
        "machine": run.machine,
    }
    yield _dumped(head)[:-1] + ',"processes":['
    for index, process in enumerate(run.processes()):
        yield ("," if index else "") + _dumped(process)
    now, whole = run.last.taken_ns, run.whole()
    tail = {
        "total": total,
        "figures": run.figures(total),
        "usage": None if run.usage is None else dict(vars(run.usage)),
        "syscalls": _syscalls(run),
        "connections": [sample_json.connection(row, now) for row in run.tree.connection_rows()],
        "waits": [_wait(row, run.last.symbols) for row in wait_rows(run.last)],
        "files": [_file(row) for row in file_rows(run.last)],
        "disks": [sample_json.disk(row, whole.counted_s) for row in disk_rows(whole)],
        "self": _self(run),
        "probes": sample_json.probes(whole),
    }
    yield "]," + _dumped(tail)[1:] + "\n"


def _syscalls(run: Run) -> list[dict[str, Any]]:
    table = run.last.syscalls
    calls = [] if table is None else [sample_json.syscall(row) for row in table.rows()]
    return sorted(calls, key=lambda call: -call["total_ns"])


def disk_rows(snapshot: Snapshot) -> Iterator[Row]:
    """The machine's disks that had requests, from any process."""
    for row in () if snapshot.disks is None else snapshot.disks.rows():
        if row["reads"] or row["writes"] or row["discards"] or row["busy_ns"]:
            yield row


def wait_rows(snapshot: Snapshot) -> list[Row]:
    """The stacks that the tree waited in, the longest first."""
    rows = [] if snapshot.waits is None else list(snapshot.waits.rows())
    return sorted(rows, key=lambda row: -int(row["ns"]))


def _wait(row: Row, symbols: dict[int, bytes]) -> dict[str, Any]:
    return {
        "wait_ns": row["ns"],
        "waits": row["count"],
        "reason": REASONS[row["reason"]],
        "stack": [data_text(name) for name in frames(row, symbols)],
    }


def file_rows(snapshot: Snapshot) -> list[Row]:
    """The files that the tree read or wrote by system calls, those with most bytes first."""
    rows = [] if snapshot.files is None else list(snapshot.files.rows())
    return sorted(rows, key=lambda row: (-row["read_bytes"] - row["write_bytes"], row["path"]))


def _file(row: Row) -> dict[str, Any]:
    numbers = {key: row[key] for key in ("read_bytes", "write_bytes", "reads", "writes")}
    return {"path": data_text(row["path"]) or None, **numbers}


def _self(run: Run) -> dict[str, Any]:
    cost, duration_ns = run.cost, run.duration_ns
    return {
        "cpu_percent": _percent(cost.cpu_ns, duration_ns),
        "cpu_ns": cost.cpu_ns,
        "rss_bytes": run.last.self_cost.rss_bytes,
        "probe_ns": cost.probe_ns,
        "probe_cpu_percent": _percent(cost.probe_ns, duration_ns),
        "events": cost.events,
        "lost": dict(run.lost),
    }


def _percent(part: Optional[int], whole: int) -> Optional[float]:
    return round(part * 100 / whole, 3) if part is not None and whole else None


def _dumped(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("\x7f", "\\u007f")


def sample_line(tree: ProcessTree, snapshot: Snapshot, began_ns: int) -> str:
    """The current state of the tree as one line: cumulative, without processes that have exited."""
    context = Context(snapshot=snapshot, cmdlines=tree.args, ascii=False)
    living = tree.living
    rows = [row for row in tree.rows() if row["pid"] in living and not row["flags"] & EXITED]
    sample = {
        "schema": sample_json.SCHEMA,
        "type": "sample",
        "time": sample_json.utc_text(snapshot.time),
        "interval_s": round(snapshot.interval_s, 6),
        "source": snapshot.source,
        "cumulative": True,
        "elapsed_ns": max(0, snapshot.taken_ns - began_ns),
        "total": _sample_total(tree, context),
        "processes": [sample_json.task(row, context) for row in rows],
    }
    return _dumped(sample) + "\n"


def _sample_total(tree: ProcessTree, context: Context) -> dict[str, Any]:
    values = sample_json.task(tree.total(), context)
    for key in _NOT_SUMMED:
        values.pop(key)
    return {**values, "processes": len(tree.members)}
