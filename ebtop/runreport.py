# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the report of `ebtop run` as data: the keys that the interface names, and the few beside
them that say on what it was measured and how each figure came about.

The tree is kintree.py's, a process as JSON jsonlines.py's, the text runtext.py's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Optional

from ebtop import jsonlines
from ebtop.cgroups import CgroupPaths
from ebtop.columns import Context, Row
from ebtop.kintree import KinTree
from ebtop.layout import EXITED
from ebtop.snapshot import Snapshot
from ebtop.text import data_text

_NOT_SUMMED = ("pid", "ppid", "uid", "user", "comm", "cmdline", "start_ns", "state", "cgroup",
               "container", "exited", "exit_code", "disk_latency_p99_ns", "allocation_histogram",
               "memory_hints", "rss_anon_bytes", "rss_file_bytes", "rss_shmem_bytes", "swap_bytes",
               "mappings")  # fmt: skip
_OF_FILES = ("oncpu_ns", "user_ns", "kernel_ns", "minor_faults", "major_faults",
             "voluntary_switches", "involuntary_switches")  # fmt: skip
_TICKS = ("user_ns", "kernel_ns", "cpu_percent")
_LOOKS = ("rss_bytes", "peak_rss_bytes", "virtual_bytes", "threads")


@dataclass(frozen=True)
class Usage:
    """What wait4(2) says of the command and of all that it and its children waited for."""

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


@dataclass(frozen=True)
class Run:
    """A run that is over, as far as it was waited for."""

    words: tuple[bytes, ...]
    exit_code: Optional[int]
    duration_ns: int
    tree: KinTree
    last: Snapshot
    machine: dict[str, Any]
    usage: Optional[Usage] = None
    began: float = 0.0
    floor_rss_bytes: int = 0
    """What the command's process had in memory before it was the command."""
    own_cpu_ns: int = 0
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
        values = jsonlines.task(row, context, False, cgroups)
        if row["pid"] != self.tree.pid or not self.words:
            return values
        if values["exited"] and values["exit_code"] is None:
            values["exit_code"] = self.exit_code
        peak = values["peak_rss_bytes"]
        if peak is not None and peak <= self.floor_rss_bytes:
            values["peak_rss_bytes"] = None  # it is that of our own fork, not the command's
        return values

    def total(self) -> dict[str, Any]:
        values = jsonlines.task(self.tree.total(), self._context())
        for key in _NOT_SUMMED:
            values.pop(key)
        values["processes"] = len(self.tree.members)
        if not self.exact and self.usage is not None:
            values.update(_of_usage(self.usage))
            if self.duration_ns:
                values["cpu_percent"] = round(values["oncpu_ns"] * 100 / self.duration_ns, 3)
        if values["peak_rss_bytes"] is not None and self.usage is not None:
            peak = self.usage.peak_rss_bytes
            if peak > self.floor_rss_bytes:
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
        return Context(snapshot=_with_users(self), cmdlines=self.tree.args, ascii=False)

    def still_running(self) -> int:
        return sum(not one.ended for one in self.tree.members.values())


def _with_users(run: Run) -> Snapshot:
    from dataclasses import replace

    # what the percentages are of: the run, not the time that it took to set up
    began_ns = run.last.taken_ns - run.duration_ns
    return replace(run.last, users=run.tree.users, since_ns=began_ns, cumulative=True, text=b"")


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
        "schema": jsonlines.SCHEMA,
        "type": "run",
        "command": [data_text(word) for word in run.words],
        "exit_code": run.exit_code,
        "duration_ns": run.duration_ns,
        "time": jsonlines.utc_text(run.began),
        "source": run.last.source,
        "source_reason": run.last.source_reason and data_text(run.last.source_reason),
        "still_running": run.still_running(),
        "machine": run.machine,
    }
    yield _dumped(head)[:-1] + ',"processes":['
    for index, process in enumerate(run.processes()):
        yield ("," if index else "") + _dumped(process)
    now = run.last.taken_ns
    tail = {
        "total": total,
        "figures": run.figures(total),
        "usage": None if run.usage is None else dict(vars(run.usage)),
        "syscalls": _syscalls(run),
        "connections": [jsonlines.connection(row, now) for row in run.tree.connection_rows()],
        "self": _self(run),
        "probes": jsonlines.probes(run.last),
    }
    yield "]," + _dumped(tail)[1:] + "\n"


def _syscalls(run: Run) -> list[dict[str, Any]]:
    table = run.last.syscalls
    calls = [] if table is None else [jsonlines.syscall(row) for row in table.rows()]
    return sorted(calls, key=lambda call: -call["total_ns"])


def _self(run: Run) -> dict[str, Any]:
    cost = run.last.self_cost
    percent = run.own_cpu_ns * 100 / run.duration_ns if run.duration_ns else None
    return {
        "cpu_percent": None if percent is None else round(percent, 3),
        "cpu_ns": run.own_cpu_ns,
        "rss_bytes": cost.rss_bytes,
        "probe_ns": cost.probe_ns,
        "probe_cpu_percent": cost.probe_cpu_percent,
        "lost": dict(run.lost),
    }


def _dumped(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("\x7f", "\\u007f")


def sample_line(tree: KinTree, snapshot: Snapshot, began_ns: int) -> str:
    """What is known of the tree now, as one line: cumulative, those that ended before left out."""
    context = Context(snapshot=snapshot, cmdlines=tree.args, ascii=False)
    living = tree.living
    rows = [row for row in tree.rows() if row["pid"] in living and not row["flags"] & EXITED]
    sample = {
        "schema": jsonlines.SCHEMA,
        "type": "sample",
        "time": jsonlines.utc_text(snapshot.time),
        "interval_s": round(snapshot.interval_s, 6),
        "source": snapshot.source,
        "cumulative": True,
        "elapsed_ns": max(0, snapshot.taken_ns - began_ns),
        "total": _sample_total(tree, context),
        "processes": [jsonlines.task(row, context) for row in rows],
    }
    return _dumped(sample) + "\n"


def _sample_total(tree: KinTree, context: Context) -> dict[str, Any]:
    values = jsonlines.task(tree.total(), context)
    for key in _NOT_SUMMED:
        values.pop(key)
    return {**values, "processes": len(tree.members)}
