# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the /proc source: the same Snapshot as the BPF session, as far as files can fill it.

Time on a CPU is the scheduler's own count for a process of one thread (schedstat) and the kernel's
ticks for the others. What began and ended between two refreshes is not seen here, and is not
guessed: started, exited and the counters of the dead stay unknown.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType, TracebackType

from ebtop.model.filters import KernelFilter
from ebtop.model.layout import BORN, COMM_BYTES, EVENT, LOSSES, RAN, ROW, Table
from ebtop.model.snapshot import CpuParts, ProbeStatus, Program, SelfCost, Snapshot, System
from ebtop.probes import STANDING, TCP
from ebtop.sources.cpustat import CpuStat
from ebtop.sources.diskstats import DiskStats, disk_rows
from ebtop.sources.host import SelfUsage, nameless, read_host, self_usage, users
from ebtop.sources.netstat import ListenCounts
from ebtop.sources.procaccess import OwnReader, Reader
from ebtop.sources.procparse import TICK_NS
from ebtop.sources.proctask import (
    NO_COUNTS,
    Sample,
    added,
    difference,
    nothing,
    pack_row,
    ran,
    read_sample,
    read_sched,
    totals,
)
from ebtop.sources.proctcp import Owner, ProcConnections, with_counts

_REREAD_EVERY = 16  # refreshes after which even a sleeper's memory and parent are read again
_MOST_PID = (1 << 32) - 1


class _Task:
    """One process or thread, followed over refreshes."""

    __slots__ = ("active", "counts", "pid", "quiet_row", "sample", "sums", "tid")

    def __init__(self, pid: int, tid: int, sample: Sample) -> None:
        self.pid = pid
        self.tid = tid
        self.sample = sample
        self.quiet_row: bytes | None = None

    def begin(self, sample: Sample, born: bool) -> None:
        """The first sample, when all of it is there."""
        self.sample = sample
        # a task that existed before the first look has an interval that was not measured
        self.counts = totals(sample) if born else NO_COUNTS
        self.active = (RAN | BORN) if born else 0
        self.sums = self.counts if born else nothing(sample)

    def advance(self, sample: Sample) -> None:
        """The next one."""
        self.counts = difference(self.sample, sample)
        self.active = RAN if ran(self.counts) else 0
        self.sums = added(self.sums, self.counts)
        self.sample = sample
        self.quiet_row = None

    def rest(self) -> None:
        """It was not on a CPU in this interval."""
        if self.active or self.counts is NO_COUNTS or self.quiet_row is None:
            self.active = 0
            self.counts = nothing(self.sample)
            self.quiet_row = pack_row(self.sample, self.pid, self.tid, self.counts, 0)

    def row(self, cumulative: bool) -> bytes:
        if cumulative:
            return pack_row(self.sample, self.pid, self.tid, self.sums, self.active)
        if self.quiet_row is not None:
            return self.quiet_row
        return pack_row(self.sample, self.pid, self.tid, self.counts, self.active)

    def forget_sums(self) -> None:
        self.sums = nothing(self.sample)


class ProcSource:
    """A source of Snapshots; `reason` says why it stands in for the BPF session, if it does.

    `connections`: whether they are looked for until `switch` says otherwise.
    """

    event_fd: int | None = None

    def __init__(
        self,
        root: str = "/proc",
        reason: str | None = None,
        probes: Iterable[ProbeStatus] | None = None,
        connections: bool = True,
        reader: Reader | None = None,
    ) -> None:
        self.reason = reason
        self._reader = OwnReader(root) if reader is None else reader
        self._fresh: list[tuple[_Task, Sample]] = []
        """Those that were read in this refresh, but for what the reader knows."""
        self._wants_connections = connections
        self._connections = ProcConnections(root)
        self._root = root
        self._probes = tuple(probes) if probes is not None else _no_probes(reason)
        self._processes: dict[int, _Task] = {}
        self._threads: dict[int, _Task] = {}
        self._looked_at = 0
        self._turn = 0
        self._taken_ns: int | None = None
        self._since_ns: int | None = None
        self._boot_ns = 0
        self._cpu_stat = CpuStat(root)
        self._switches: int | None = None
        self._usage: SelfUsage | None = None
        self._disk_stats = DiskStats(root)
        self._listening = ListenCounts(root)

    def __enter__(self) -> ProcSource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """No file is held open between refreshes; but the reader may be a process."""
        self._reader.close()

    def poll(self) -> int:
        """This source has no events."""
        return 0

    def switch(self, probes: Iterable[str]) -> None:
        """There are no probes to switch, but connections are only looked for while they are
        needed."""
        self._wants_connections = TCP.name in probes

    def look_at(self, pid: int) -> None:
        """Its threads are read too; no waits are seen, nor files."""
        self._looked_at = pid

    def look_at_watched(self) -> None:
        """Likewise."""

    def named(self, snapshot: Snapshot) -> Snapshot:
        """It has no stacks."""
        return snapshot

    def programs(self) -> list[Program]:
        """There are none."""
        return []

    def set_filter(self, filter: KernelFilter) -> None:
        """There is nothing in the kernel to filter."""

    def refresh(
        self,
        *,
        threads: bool = False,
        cost: bool = False,  # no program of ours runs in the kernel: none has a cost
        cumulative: bool = False,
        reset: bool = False,
        window: str = "interval",  # no table of system calls either
        symbols: bool = True,  # nor stacks
        functions: bool = False,
        every: int = 1,
    ) -> Snapshot:
        """Ends the interval that the refresh before began."""
        taken_ns = time.monotonic_ns()
        boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._turn += 1
        self._follow_processes()
        chosen = self._processes if threads else self._only(self._looked_at)
        self._follow_threads(chosen)
        interval_ns = taken_ns - self._taken_ns if self._taken_ns is not None else 0
        self._taken_ns, self._boot_ns = taken_ns, boot_ns
        if self._since_ns is None:
            self._since_ns = taken_ns
        disks = disk_rows(self._disk_stats.refresh(cumulative, reset))
        snapshot = self._snapshot(interval_ns, cumulative, chosen)
        listening = self._listening.refresh(cumulative, reset)
        system = replace(snapshot.system, listening=listening)
        snapshot = replace(snapshot, system=system, disks=disks)
        if self._wants_connections:
            snapshot = self._with_connections(snapshot)
        if reset:
            self._since_ns = taken_ns
            for task in (*self._processes.values(), *self._threads.values()):
                task.forget_sums()
        return snapshot

    # ---- which tasks exist ----

    def _follow_processes(self) -> None:
        seen: dict[int, _Task] = {}
        for pid in _numbers_in(self._root):
            task = self._follow(self._processes.get(pid), f"{self._root}/{pid}", pid, pid)
            if task is not None:
                seen[pid] = task
        self._take_up()
        self._adopt_orphans(seen)
        self._processes = seen

    def _adopt_orphans(self, seen: dict[int, _Task]) -> None:
        """A sleeping process gets a new parent when its parent exits, without having run."""
        gone = {pid for pid, task in self._processes.items() if seen.get(pid) is not task}
        if not gone:
            return
        for pid, task in seen.items():
            if task.sample.stat.ppid in gone:
                sample = read_sample(f"{self._root}/{pid}", thread=False)
                if sample is not None and sample.stat.start_ns == task.sample.stat.start_ns:
                    task.sample = task.sample._replace(
                        stat=task.sample.stat._replace(ppid=sample.stat.ppid)
                    )
                    task.quiet_row = None

    def _only(self, pid: int) -> dict[int, _Task]:
        return {pid: self._processes[pid]} if pid in self._processes else {}

    def _follow_threads(self, chosen: Mapping[int, _Task]) -> None:
        seen: dict[int, _Task] = {}
        for pid, process in chosen.items():
            if process.sample.alone:
                continue
            folder = f"{self._root}/{pid}/task"
            for tid in _numbers_in(folder):
                task = self._follow(self._threads.get(tid), f"{folder}/{tid}", pid, tid)
                if task is not None:
                    seen[tid] = task
        self._take_up(threads=True)
        self._threads = seen

    def _take_up(self, threads: bool = False) -> None:
        fresh, self._fresh = self._fresh, []
        known = self._reader.read([(task.pid, task.tid if threads else 0) for task, _ in fresh])
        for (task, sample), access in zip(fresh, known):
            whole = sample._replace(access=access)
            if task.sample is not sample:
                task.advance(whole)
            else:
                # the start is cut to whole ticks; before the first refresh nobody is new
                begins_ns = sample.stat.start_ns + TICK_NS
                task.begin(whole, self._taken_ns is not None and begins_ns > self._boot_ns)

    def _follow(self, task: _Task | None, path: str, pid: int, tid: int) -> _Task | None:
        if task is not None and self._asleep(task, path):
            task.rest()
            return task
        sample = read_sample(path, thread="/task/" in path)
        if sample is None:
            return None
        if task is None or sample.stat.start_ns != task.sample.stat.start_ns:
            task = _Task(pid, tid, sample)
        self._fresh.append((task, sample))
        return task

    def _asleep(self, task: _Task, path: str) -> bool:
        """Whether its schedstat is unchanged: then one small file is read instead of three."""
        sample = task.sample
        if not sample.alone or sample.sched is None or (task.tid + self._turn) % _REREAD_EVERY == 0:
            return False
        return read_sched(path) == sample.sched

    # ---- what the snapshot says ----

    def _snapshot(
        self, interval_ns: int, cumulative: bool, chosen: Mapping[int, _Task]
    ) -> Snapshot:
        cpus, parts = self._cpu_stat.refresh(self._taken_ns or 0)
        host = read_host(self._root)
        uids = self._uids()
        names = users(uids)
        text = bytearray()
        processes, active = _rows(self._processes.values(), cumulative, text)
        thread_rows = b""
        if chosen:
            thread_rows = _rows(self._every_thread(chosen), cumulative, text, self._processes)[0]
        return Snapshot(
            time=time.time(),
            taken_ns=self._taken_ns or 0,
            interval_s=interval_ns / 1e9,
            source="proc",
            source_reason=self.reason,
            cumulative=cumulative,
            host=host,
            system=self._system(parts, active),
            self_cost=self._self_cost(interval_ns),
            probes=self._probes,
            processes=Table(ROW, processes),
            threads=Table(ROW, thread_rows),
            cpus=cpus,
            events=Table(EVENT, b""),
            text=bytes(text),
            since_ns=self._since_ns,
            users=names,
            nameless=nameless(uids, names),
        )

    def _with_connections(self, snapshot: Snapshot) -> Snapshot:
        found = self._connections.refresh(
            Owner(pid, task.sample.stat.start_ns, task.sample.stat.comm)
            for pid, task in self._processes.items()
        )
        rows = with_counts(bytes(snapshot.processes.data), self._connections.counts)
        return replace(snapshot, connections=found, processes=Table(ROW, rows))

    def _every_thread(self, chosen: Mapping[int, _Task]) -> Iterator[_Task]:
        yield from (task for task in chosen.values() if task.sample.alone)
        yield from self._threads.values()

    def _uids(self) -> set[int]:
        uids = {task.sample.status.uid for task in self._processes.values()}
        return {uid for uid in uids if uid is not None}

    def _system(self, parts: CpuParts | None, active: int) -> System:
        before, now = self._switches, self._cpu_stat.context_switches
        self._switches = now
        switches = None if before is None or now is None else max(0, now - before)
        return System(
            cpu_percent=None if parts is None else parts.busy,
            cpu_parts=parts,
            processes=len(self._processes),
            threads=sum(task.sample.stat.threads for task in self._processes.values()),
            started=None,
            exited=None,
            execs=None,
            context_switches=switches,
            syscalls=None,
            opens=None,
            active=active,
        )

    def _self_cost(self, interval_ns: int) -> SelfCost:
        old, usage = self._usage, self_usage()
        self._usage = usage
        percent = None
        if old is not None and interval_ns > 0:
            percent = max(0.0, 100.0 * (usage.cpu_ns - old.cpu_ns) / interval_ns)
        none_lost = dict.fromkeys(LOSSES, 0)
        return SelfCost(percent, usage.rss_bytes, None, None, 0, none_lost, none_lost)


def _no_probes(reason: str | None) -> tuple[ProbeStatus, ...]:
    why = reason or "the /proc source was asked for"
    return tuple(ProbeStatus(name, "off", "", why, None, None) for name in STANDING)


def _numbers_in(folder: str) -> list[int]:
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    numbers = (int(name) for name in names if name.isascii() and name.isdigit())
    return sorted(number for number in numbers if 0 < number <= _MOST_PID)


def _rows(
    tasks: Iterable[_Task],
    cumulative: bool,
    text: bytearray,
    processes: Mapping[int, _Task] = MappingProxyType({}),
) -> tuple[bytes, int]:
    """Packed rows, active ones first, and the number of active ones. Names too long for a row are
    added to `text`. Rows of threads also have the names of their `processes`."""
    first: list[bytes] = []
    rest: list[bytes] = []
    for task in tasks:
        counted = task.active or (cumulative and ran(task.sums))
        row = _named(task, task.row(cumulative), text)
        process = processes.get(task.pid)
        if process is not None and process is not task:
            row = _with(row, "process_comm", process.sample.stat.comm.ljust(COMM_BYTES, b"\0"))
        (first if counted else rest).append(row)
    return b"".join(first) + b"".join(rest), len(first)


def _named(task: _Task, row: bytes, text: bytearray) -> bytes:
    stat = task.sample.stat
    if not stat.kernel_thread or stat.name == stat.comm:
        return row
    where = struct.pack("=II", len(text), len(stat.name))  # and `text_bytes`, which is next
    text += stat.name
    return _with(row, "text", where)


def _with(row: bytes, name: str, value: bytes) -> bytes:
    """The row with another value from that member on."""
    at = ROW.fields[name].offset
    return row[:at] + value + row[at + len(value) :]
