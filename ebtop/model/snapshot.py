# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the Snapshot: the complete result of one refresh, frozen. Every output is made from it
alone.

It knows neither the source of the values nor how they are shown. Names and arguments of processes
stay bytes here; `text.py` makes them displayable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Optional

from ebtop.model.filters import EVERYONE, KernelFilter
from ebtop.model.layout import WINDOWS, Table
from ebtop.model.leaks import Leak, Point, Watch

PressureLine = tuple[Optional[float], Optional[float]]
"""Share of the last 10 s in which some, and all, threads stood still for it, in percent."""
Pressure = dict[str, PressureLine]
"""By resource: cpu, memory, io."""


@dataclass(frozen=True)
class Host:
    """Values of the whole machine from /proc; None where they could not be read."""

    name: bytes
    uptime_s: Optional[float]
    load: Optional[tuple[float, float, float]]
    memory_total_bytes: Optional[int]
    memory_available_bytes: Optional[int]
    cpus: int
    swap_total_bytes: Optional[int] = None
    swap_free_bytes: Optional[int] = None
    huge_pages_total_bytes: Optional[int] = None
    """Reserved huge pages (hugetlbfs)."""
    huge_pages_free_bytes: Optional[int] = None
    anon_huge_pages_bytes: Optional[int] = None
    """Anonymous memory in transparent huge pages."""
    pressure: Optional[Pressure] = None
    """None where the kernel does not keep it."""


@dataclass(frozen=True)
class CpuParts:
    """The time of all CPUs by part, in percent of one CPU: the sum is 100 times the number of
    CPUs."""

    user: float
    """Without the time of guests, as is `nice`."""
    nice: float
    system: float
    irq: float
    softirq: float
    steal: float
    guest: float
    iowait: float
    idle: float

    @property
    def busy(self) -> float:
        """All but idle and iowait."""
        return (
            self.user + self.nice + self.system + self.irq + self.softirq + self.steal + self.guest
        )


@dataclass(frozen=True)
class Listening:
    """Connections refused because the queue of a listening socket was full, and all that listening
    sockets dropped; None where the kernel does not count them."""

    overflows: Optional[int] = None
    drops: Optional[int] = None


@dataclass(frozen=True)
class System:
    """The machine in the interval; counts are of the interval, None where unknown."""

    cpu_percent: Optional[float]
    processes: Optional[int]
    threads: Optional[int]
    started: Optional[int]
    exited: Optional[int]
    execs: Optional[int]
    context_switches: Optional[int]
    syscalls: Optional[int]
    opens: Optional[int]
    active: int
    """The number of rows at the front of `processes` that ran, started or exited in the
    interval."""
    cpu_parts: Optional[CpuParts] = None
    run_queue: Optional[float] = None
    """The mean number of threads waiting for a CPU."""
    run_queue_p99_ns: Optional[int] = None
    """99 % of the waits for a CPU were no longer than this; None also if no thread waited."""
    allocated_bytes: Optional[int] = None
    """Bytes mapped by all processes; `freed_bytes` are those unmapped."""
    freed_bytes: Optional[int] = None
    signals: Optional[int] = None
    oom_kills: Optional[int] = None
    listening: Listening = Listening()


@dataclass(frozen=True)
class SelfCost:
    """What ebtop itself cost in the interval; `probe_ns` None where BPF statistics are off."""

    cpu_percent: Optional[float]
    rss_bytes: Optional[int]
    probe_ns: Optional[int]
    probe_cpu_percent: Optional[float]
    events: int
    lost: dict[str, int]
    lost_total: dict[str, int]


@dataclass(frozen=True)
class ProbeStatus:
    """One probe: `state` is on, off, unsupported, denied or failed; `reason` None when on."""

    name: str
    state: str
    hook: str
    reason: Optional[str]
    runs: Optional[int]
    run_ns: Optional[int]
    every: int = 1
    """One of this many operations is timed; above 1, durations are estimates."""


@dataclass(frozen=True)
class Spending:
    """The budget and the cost of ebtop, in percent of the whole machine's CPU."""

    budget_percent: float
    percent: Optional[float]
    """Includes the BPF programs; None if their cost is unknown."""
    sampled: tuple[str, ...] = ()
    """Probes that time only a part of the operations, to save cost."""
    shed: tuple[str, ...] = ()
    """Probes that are shed because the cost exceeded the budget."""
    stuck: bool = False
    """The cost exceeds the budget, and shedding another probe would not help."""


@dataclass(frozen=True)
class Program:
    """One loaded BPF program; `instructions` that the verifier processed, None when not asked."""

    name: str
    probe: str
    hook: str
    instructions: Optional[int]


@dataclass(frozen=True)
class Snapshot:
    """One refresh. Times: `time` seconds since the epoch (display only), `taken_ns` monotonic."""

    time: float
    taken_ns: int
    interval_s: float
    source: str
    """"bpf" while the probe sched runs; else "proc", although other probes may run."""
    source_reason: Optional[str]
    """Why the source is "proc" although BPF was not refused by the user; else None."""
    cumulative: bool
    host: Host
    system: System
    self_cost: SelfCost
    probes: tuple[ProbeStatus, ...]
    processes: Table
    threads: Table
    cpus: Table
    events: Table
    text: bytes = b""
    since_ns: Optional[int] = None
    """Where cumulative counters began, on the clock of `taken_ns`: the start or the last reset."""
    users: dict[int, str] = field(default_factory=dict)
    """Names of the uids that occur; a uid without a name is missing."""
    nameless: frozenset[int] = frozenset()
    """The uids without a name."""
    syscalls: Optional[Table] = None
    """One row a system call that was made in `window_s`; None without the probe."""
    connections: Optional[Table] = None
    """One row a TCP connection, open or ended a while ago, or a listening socket; None without the
    probe."""
    window_s: float = 0.0
    disks: Optional[Table] = None
    """One row a disk that gets requests; None where nothing is known of disks."""
    waits: Optional[Table] = None
    """One row per stack that the process `looked_at` waited in since it was selected."""
    files: Optional[Table] = None
    """One row per file that the same process read or wrote by system calls since then."""
    looked_at: int = 0
    symbols: dict[int, bytes] = field(default_factory=dict)
    """The functions that the addresses in `waits` lie in; empty where none is known."""
    sizes: Optional[Table] = None
    """One row per process that mapped memory: its number of allocations by size; None without the
    probe."""
    leaks: Optional[dict[tuple[int, int], Leak]] = None
    """The suspected leaks by (pid, start_ns); None if leaks are not searched for."""
    memory_watched: dict[tuple[int, int], Watch] = field(default_factory=dict)
    """The processes whose memory is followed, by (pid, start_ns)."""
    memory_history: tuple[Point, ...] = ()
    """The memory history of the selected process."""
    filter: KernelFilter = EVERYONE
    """In force now; another process may have set it (`ebtop set`)."""
    spending: Optional[Spending] = None
    """None without a budget."""
    tables: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of the collector's bounded tables by name: entries used, and room."""

    @property
    def counted_s(self) -> float:
        """The seconds that the counters cover."""
        if not self.cumulative or self.since_ns is None:
            return self.interval_s
        return (self.taken_ns - self.since_ns) / 1e9


class Request(NamedTuple):
    """What a refresh has to collect. A snapshot for one request cannot serve a different one."""

    threads: bool = False
    cumulative: bool = False
    window: str = WINDOWS[0]
    """What the table of system calls covers."""
    functions: bool = False
    """Also find the kernel function in which each task sleeps."""


@dataclass(frozen=True)
class Stream:
    """The events since the last call, their texts, and losses by cause."""

    events: Table
    text: bytes
    lost: dict[str, int]
    more: bool = False
    """More events are already in the buffer."""
