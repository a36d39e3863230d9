# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the checks of `ebtop selftest` as data: the true value and its oracle, ebtop's value, and
the tolerance.

It does no work and opens nothing: `Seen` has the results of the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ebtop.commands.selftest import work
from ebtop.model.layout import BORN, EXITED, KNOWN_BIT, NOT_COUNTED
from ebtop.model.process_table import Row
from ebtop.model.snapshot import Snapshot
from ebtop.model.syscallnames import name_of
from ebtop.model.waitreasons import REASONS
from ebtop.probes import BLOCK, LIFE, MEM, OPEN, SCHED, SYSCALL, TASKS, TCP, VFS, Probe

Value = Optional[float]


@dataclass(frozen=True)
class Seen:
    """One piece of work: its own facts, the kernel's account of its process, and ebtop's
    snapshot."""

    facts: Mapping[str, float]
    kernel: Mapping[str, float]
    """The growth of the counters in /proc/PID, by name; other values are those at the end."""
    snapshot: Snapshot
    pid: int

    @property
    def interval_ns(self) -> float:
        return self.snapshot.interval_s * 1e9

    def row(self) -> Optional[Row]:
        rows = self.snapshot.processes.rows()
        return next((r for r in rows if r["pid"] == self.pid and not r["flags"] & EXITED), None)

    def children(self) -> list[Row]:
        """The children that started and exited in this interval."""
        ended = BORN | EXITED
        return [row for row in self.snapshot.processes.rows()
                if row["ppid"] == self.pid and row["flags"] & ended == ended]  # fmt: skip

    def call(self, *names: str) -> Optional[Row]:
        """The system call's row, by the first name that occurs."""
        for row in self.snapshot.syscalls.rows() if self.snapshot.syscalls is not None else ():
            if name_of(row["number"], bool(row["compat"])) in names:
                return row
        return None


@dataclass(frozen=True)
class Check:
    """One figure. The error may be `share` of the truth, or `least` where that is more."""

    metric: str
    work: str
    probe: Probe
    oracle: str
    truth: Callable[[Seen], Value]
    value: Callable[[Seen], Value]
    share: float = 0.0
    least: float = 0.0
    note: str = ""
    """Why the figure is not exact, where it is not."""

    @property
    def is_time(self) -> bool:
        """Another program can come between two readings of a clock, but not between two counts."""
        return "_ns" in self.metric or self.metric.startswith("user share")


def own(name: str) -> Callable[[Seen], Value]:
    """A counter or fact of the process that did the work; None where it is unknown."""

    def value(seen: Seen) -> Value:
        row = seen.row()
        return None if row is None else _known(row, name)

    return value


def _known(row: Row, name: str) -> Value:
    bit = KNOWN_BIT.get(name)
    if bit is not None and not row["known"] & 1 << bit:
        return None
    return None if row[name] == NOT_COUNTED else float(row[name])


def fact(name: str) -> Callable[[Seen], Value]:
    return lambda seen: seen.facts.get(name)


def kernel(name: str) -> Callable[[Seen], Value]:
    return lambda seen: seen.kernel.get(name)


def constant(number: float) -> Callable[[Seen], Value]:
    return lambda seen: number


def of_call(member: str, *names: str) -> Callable[[Seen], Value]:
    def value(seen: Seen) -> Value:
        row = seen.call(*names)
        return None if row is None else float(row[member])

    return value


def of_children(read: Callable[[list[Row]], Value]) -> Callable[[Seen], Value]:
    """None without the probe of births: a process may have come and gone unseen."""
    return lambda seen: None if seen.snapshot.system.started is None else read(seen.children())


def summed(name: str) -> Callable[[list[Row]], Value]:
    """If one value is unknown, the sum is unknown."""

    def read(rows: list[Row]) -> Value:
        values = [_known(row, name) for row in rows]
        return None if None in values else sum(value or 0.0 for value in values)

    return read


def _statuses(rows: list[Row]) -> Value:
    codes = [_known(row, "exit_code") for row in rows]
    return None if None in codes else float(sum(int(code or 0) >> 8 for code in codes))


def _user_share(seen: Seen) -> Value:
    row = seen.row()
    if row is None or _known(row, "user_ns") is None or not row["oncpu_ns"]:
        return None
    return 100 * float(row["user_ns"]) / float(max(1, row["user_ns"] + row["kernel_ns"]))


def _percent(name: str) -> Callable[[Seen], Value]:
    def value(seen: Seen) -> Value:
        share = seen.facts.get(name)
        return None if share is None else 100 * share

    return value


def _wait(reason: str) -> Callable[[Seen], Value]:
    """The wait in the one call; for a pipe, on which the worker waits for orders, also the rest of
    the time."""

    def truth(seen: Seen) -> Value:
        waited = seen.facts["wait_ns"]
        return waited + (seen.interval_ns - seen.facts["work_ns"] if reason == "pipe" else 0)

    return truth


def _connections(member: str) -> Callable[[Seen], Value]:
    """Of the connections of this interval: both of their ends are the process's."""

    def value(seen: Seen) -> Value:
        table = seen.snapshot.connections
        if table is None:
            return None
        since = seen.snapshot.taken_ns - seen.interval_ns
        own = (row for row in table.rows() if row["pid"] == seen.pid and row["dport"])
        values = [row[member] for row in own if row["start_ns"] >= since]
        return float(sum(values)) if values else None

    return value


_OFF_CPU = "the clock around the call, less what schedstat says that it ran and was ready"
_IN_WORK = "counted by the process that did it"
_SAMPLED = "user and kernel time come from clock ticks where system calls do not tell"


def checks() -> Iterator[Check]:
    yield from _of_cpu()
    yield from _of_waits()
    yield from _of_calls_and_files()
    yield from _of_network()
    yield from _of_memory_and_processes()


def _of_cpu() -> Iterator[Check]:
    schedstat, status = "/proc/PID/schedstat", "/proc/PID/status"
    yield Check("oncpu_ns", "cpu", SCHED, schedstat, kernel("oncpu_ns"), own("oncpu_ns"),
                0.001)  # fmt: skip
    yield Check("user share of CPU, %", "cpu", SCHED, "getrusage(2)", _percent("user_share"),
                _user_share, least=5, note=_SAMPLED)  # fmt: skip
    yield Check("offcpu_ns", "switches", SCHED, "the interval, less " + schedstat,
                lambda seen: seen.interval_ns - seen.kernel["oncpu_ns"] - seen.kernel["runq_ns"],
                own("offcpu_ns"), 0.01, 1e6)  # fmt: skip
    for name in ("voluntary_switches", "involuntary_switches"):
        yield Check(name, "switches", SCHED, status, kernel(name), own(name))
    yield Check("runq_wait_ns", "run_queue", SCHED, "/proc/PID/schedstat of both",
                fact("runq_wait_ns"), of_children(summed("runq_wait_ns")), 0.03, 2e6)  # fmt: skip


def _of_waits() -> Iterator[Check]:
    for reason in ("sleep", "poll", "pipe", "network", "lock", "condition"):
        if reason in REASONS:
            name = f"wait_{reason}_ns"
            yield Check(f"wait_ns, {reason}", f"wait_{reason}", SCHED, _OFF_CPU, _wait(reason),
                        own(name), 0.02, 2e6)  # fmt: skip


def _of_calls_and_files() -> Iterator[Check]:
    yield Check("calls of getppid", "system_calls", SYSCALL, _IN_WORK, constant(work.CALLS),
                of_call("calls", "getppid"))  # fmt: skip
    yield Check("errors of rmdir", "system_calls", SYSCALL, _IN_WORK,
                constant(work.FAILED_CALLS), of_call("errors", "rmdir", "unlinkat"))  # fmt: skip
    yield Check("total_ns of nanosleep", "system_calls", SYSCALL, "the clock around it",
                fact("sleep_ns"), of_call("total_ns", "clock_nanosleep", "nanosleep"),
                0.02, 2e6)  # fmt: skip
    yield Check("opens", "opens", OPEN, _IN_WORK, constant(work.OPENS + work.FAILED_OPENS),
                own("opens"))  # fmt: skip
    moved = work.FILE_CHUNK * work.FILE_CHUNKS
    yield Check("file_write_bytes", "files", VFS, _IN_WORK, constant(moved),
                own("file_write_bytes"))  # fmt: skip
    yield Check("file_read_bytes", "files", VFS, _IN_WORK, constant(moved),
                own("file_read_bytes"))  # fmt: skip
    for name in ("disk_read_bytes", "disk_write_bytes"):
        yield Check(name, "disk", BLOCK, "/proc/PID/io", fact(name), own(name), 0.01)


def _of_network() -> Iterator[Check]:
    for name in ("net_tx_bytes", "net_rx_bytes"):
        yield Check(f"{name}, TCP", "tcp", TCP, _IN_WORK, fact("bytes"), own(name))
    for name in ("tx_bytes", "rx_bytes"):
        yield Check(f"{name} of connections", "tcp", TCP, _IN_WORK, fact("bytes"),
                    _connections(name))  # fmt: skip
    for name in ("connections_opened", "connections_accepted"):
        yield Check(name, "tcp", TCP, _IN_WORK, fact("connections"), own(name))
    moved = work.DATAGRAM * work.DATAGRAMS
    for name in ("net_tx_bytes", "net_rx_bytes"):
        yield Check(f"{name}, UDP", "udp", TCP, _IN_WORK, constant(moved), own(name))


def _of_memory_and_processes() -> Iterator[Check]:
    one = work.MAPPING_PAGES * work.PAGE
    kept = work.TOUCHED_PAGES * work.PAGE
    # what is kept takes the place of what was kept before
    for name in ("mmap_calls", "munmap_calls"):
        yield Check(name, "memory", MEM, _IN_WORK, constant(work.MAPPINGS + 1), own(name))
    for name in ("allocated_bytes", "freed_bytes"):
        yield Check(name, "memory", MEM, _IN_WORK, constant(work.MAPPINGS * one + kept),
                    own(name))  # fmt: skip
    yield Check("minor_faults", "memory", TASKS, "/proc/PID/stat", kernel("minor_faults"),
                own("minor_faults"))  # fmt: skip
    yield Check("rss_bytes", "memory", TASKS, "/proc/PID/status", kernel("rss_bytes"),
                own("rss_bytes"), 0.02, 1 << 20,
                "since Linux 6.2 the kernel's counters lag by a batch a CPU")  # fmt: skip
    yield Check("threads", "threads", SCHED, _IN_WORK, constant(work.THREADS + 1),
                own("threads"))  # fmt: skip
    yield Check("processes born and ended", "processes", LIFE, _IN_WORK, fact("born"),
                of_children(lambda rows: float(len(rows))))  # fmt: skip
    yield Check("sum of their exit codes", "processes", LIFE, "wait(2)", fact("statuses"),
                of_children(_statuses))  # fmt: skip
    yield Check("oncpu_ns of them", "processes", SCHED, "getrusage(2)", fact("cpu_ns"),
                of_children(summed("oncpu_ns")), 0.01, 1e5)  # fmt: skip


def reason_unknown(check: Check, snapshot: Snapshot) -> str:
    """Why there is no value: the words of the probe, where it has some."""
    for probe in snapshot.probes:
        if probe.name == check.probe.name and probe.state != "on":
            return probe.reason or f"the probe {check.probe.name} is {probe.state}"
    return "not known here"


def result_of(check: Check, seen: Seen) -> dict[str, Any]:
    """One line of the report; `result` is PASS, MISS, or UNKNOWN with the `reason`."""
    truth, value = check.truth(seen), check.value(seen)
    line: dict[str, Any] = {
        "metric": check.metric, "truth": truth, "oracle": check.oracle, "value": value,
        "error": None, "allowed": None, "result": "UNKNOWN", "reason": None,
        "note": check.note or None,
    }  # fmt: skip
    if truth is None or value is None:
        return {**line, "reason": reason_unknown(check, seen.snapshot)}
    line["error"] = value - truth
    line["allowed"] = max(check.least, check.share * abs(truth))
    line["result"] = "PASS" if abs(line["error"]) <= line["allowed"] else "MISS"
    return line
