# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the Snapshot: everything one refresh learnt, frozen. Every output is made from it alone.

It knows neither where the values came from nor how they will be shown. Bytes from the traced
world (comm, args) stay bytes here; `text.py` makes them displayable.
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
    """What the kernel says of the whole machine in /proc; None where it could not be read."""

    name: bytes
    uptime_s: Optional[float]
    load: Optional[tuple[float, float, float]]
    memory_total_bytes: Optional[int]
    memory_available_bytes: Optional[int]
    cpus: int
    swap_total_bytes: Optional[int] = None
    swap_free_bytes: Optional[int] = None
    huge_pages_total_bytes: Optional[int] = None
    """Set aside for those who ask for them (hugetlbfs)."""
    huge_pages_free_bytes: Optional[int] = None
    anon_huge_pages_bytes: Optional[int] = None
    """Memory of processes that the kernel put into huge pages by itself."""
    pressure: Optional[Pressure] = None
    """None where the kernel does not keep it."""


@dataclass(frozen=True)
class CpuParts:
    """What the CPUs did, in percent of one: all parts are 100 times as many as there are."""

    user: float
    """That of guests is apart, as in the next."""
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
    """Connections that full queues of listening sockets turned away, and all that those threw away;
    None where the kernel does not say."""

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
    """The first so many rows of `processes` ran, began or ended in the interval."""
    cpu_parts: Optional[CpuParts] = None
    run_queue: Optional[float] = None
    """So many threads waited for a CPU, in the mean."""
    run_queue_p99_ns: Optional[int] = None
    """So long waited 99 % of those that came to a CPU at most; None also when none waited."""
    allocated_bytes: Optional[int] = None
    """Mapped by all processes, and unmapped."""
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
    """Of so many of what it counts one is timed: above 1 durations are estimated."""


@dataclass(frozen=True)
class Spending:
    """What ebtop may cost and does, in percent of the whole machine's CPU."""

    budget_percent: float
    percent: Optional[float]
    """Programs in the kernel included; None where their cost is not known."""
    sampled: tuple[str, ...] = ()
    """Probes that time some of what they count only, because too much was spent."""
    shed: tuple[str, ...] = ()
    """Probes that do not run because too much was spent."""
    stuck: bool = False
    """Too much is spent, and nothing is left to shed that would help."""


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
    """Those that are."""
    syscalls: Optional[Table] = None
    """One row a system call that was made in `window_s`; None without the probe."""
    connections: Optional[Table] = None
    """One row a TCP connection, open or ended a while ago, or a listening socket; None without the
    probe."""
    window_s: float = 0.0
    disks: Optional[Table] = None
    """One row a disk that gets requests; None where nothing is known of disks."""
    waits: Optional[Table] = None
    """Of process `looked_at`, one row a stack that it waited in since that is looked at."""
    files: Optional[Table] = None
    """Of the same, one row a file that it read or wrote since, by system calls."""
    looked_at: int = 0
    symbols: dict[int, bytes] = field(default_factory=dict)
    """The functions that the addresses in `waits` lie in; empty where none is known."""
    sizes: Optional[Table] = None
    """One row a process that mapped memory: how many of its allocations were of which size; None
    without the probe."""
    leaks: Optional[dict[tuple[int, int], Leak]] = None
    """Who seems to leak, by (pid, start_ns); None where nobody looks for it."""
    memory_watched: dict[tuple[int, int], Watch] = field(default_factory=dict)
    """Those whose memory is followed, by (pid, start_ns)."""
    memory_history: tuple[Point, ...] = ()
    """Of the process that is looked at."""
    filter: KernelFilter = EVERYONE
    """In force now; another process may have set it (`ebtop set`)."""
    spending: Optional[Spending] = None
    """None where nobody has set a budget."""
    tables: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of the collector's bounded tables by name: entries used, and room."""

    @property
    def counted_s(self) -> float:
        """The seconds that the counters cover."""
        if not self.cumulative or self.since_ns is None:
            return self.interval_s
        return (self.taken_ns - self.since_ns) / 1e9


class Request(NamedTuple):
    """What a refresh is to collect; where it differs, another snapshot cannot stand in."""

    threads: bool = False
    cumulative: bool = False
    window: str = WINDOWS[0]
    """What the table of system calls covers."""
    functions: bool = False
    """Of every task that sleeps, in which function of the kernel."""


@dataclass(frozen=True)
class Stream:
    """What happened since the last look: events, the texts in them, and what was lost by cause."""

    events: Table
    text: bytes
    lost: dict[str, int]
    more: bool = False
    """Not all that happened is in it yet."""
