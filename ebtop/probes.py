# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what Python knows of each probe, as one table: a new probe is a row here, in the order of
`enum ebtop_probe`, and the columns or the panel that show what it tells.

No other module lists names of probes. Which columns a probe fills, model/process_table.py says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Optional

ALWAYS, TIME, MEMORY, PORT = "always", "time", "memory", "port"
"""What may need a probe, apart from panels and columns: any view, the detail of a process's time,
the detail of its memory, a filter or search by port."""


class Probe(NamedTuple):
    """One probe of the collector."""

    name: str
    gives: str = ""
    """The values that are unknown without it, for `doctor`."""
    default: bool = False
    """Runs where `--probes` does not say otherwise; a log of events waits until it is asked for."""
    on_demand: bool = False
    """The dashboard runs it only while something shows what it tells; the user can keep it off."""
    off_at_first: bool = False
    """The dashboard keeps it off until the user switches it on."""
    menu: str = ""
    """For the menu of those on demand: what it is for."""
    panel: int = 0
    """The number of the panel that shows it; 0: none does."""
    sights: tuple[str, ...] = ()
    shed_rank: Optional[int] = None
    """The order of shedding among probes of equal or unknown cost; None: never shed."""
    sampled: int = 1
    """Above 1: before the probe is shed, it times only one of this many operations."""
    carrier: str = ""
    """The probe whose programs count for it where kernel functions cannot be hooked."""
    commands: tuple[str, ...] = ()
    """Streams that cannot do without it."""
    helps: tuple[str, ...] = ()
    """Streams that tell more with it."""
    slow_kind: str = ""
    """The kind of slow operations that it tells; another kind does not need it."""
    has_tables: bool = True
    """It takes memory for tables of its own."""
    absent: str = ""
    """What a view says of a source that does not have it."""
    advice: str = "ask for it with --probes"
    """How to have it run."""


SCHED = Probe(
    "sched", default=True,
    gives="oncpu_ns offcpu_ns runq_wait_ns migrations of every thread, the shortest included,"
    " and voluntary_switches involuntary_switches of processes of many threads",
    commands=("exec", "open", "syscalls", "kprobe", "tcp", "mem", "signals", "slow"),
    has_tables=False,
)  # fmt: skip
LIFE = Probe(
    "life", default=True,
    gives="started, exited, the rows of processes that began and ended between two samples,"
    " their exit_code, and the log of execs and exits",
    commands=("exec",), helps=("slow",), has_tables=False,
)  # fmt: skip
TASKS = Probe(
    "tasks", default=True,
    gives="memory, faults, parents and names, in one read instead of thousands of files",
)  # fmt: skip
SYSCALL = Probe(
    "syscall", default=True, on_demand=True, panel=2, shed_rank=1, sampled=16,
    gives="system calls and their latencies; user and kernel time are then sampled",
    menu="for panel 2 and the columns of system calls; runs only while they show",
    commands=("syscalls", "slow"), slow_kind="syscall",
    absent="/proc knows nothing of system calls",
)  # fmt: skip
OPEN = Probe(
    "open", on_demand=True, off_at_first=True, panel=4, shed_rank=6,
    gives="the log of file opens, and how many each process had",
    menu="for the log of opens in panel 4, and the column OPENS; runs only while they show",
    commands=("open",),
)  # fmt: skip
KFUNC = Probe(
    "kfunc", gives="calls of any function of the kernel",
    commands=("kprobe",), has_tables=False, advice="name a function: ebtop kprobe FUNCTION",
)  # fmt: skip
BLOCK = Probe(
    "block", default=True, on_demand=True, panel=5, sights=(TIME,), shed_rank=4,
    gives="disk_* of processes, and the latencies of disks",
    menu="for panel 5 and the columns of disks; runs only while they show",
    commands=("slow",), slow_kind="disk",
)  # fmt: skip
VFS = Probe(
    "vfs", default=True, on_demand=True, sights=(TIME,), shed_rank=2, carrier="syscall",
    gives="bytes read and written through files, and the hit ratio of the page cache",
    menu="for the columns of files; runs only while they show",
    absent="this source knows no files",
)  # fmt: skip
TCP = Probe(
    "tcp", default=True, on_demand=True, panel=3, sights=(PORT,), shed_rank=5,
    gives="net_* and connections of processes, and the table of connections",
    menu="for panel 3, the columns of the network and port=N; runs only while they show",
    commands=("tcp",),
)  # fmt: skip
SOCKETS = Probe("sockets")
"""Comes with `tcp`, and is never asked for alone."""
STACKS = Probe(
    "stacks", default=True, on_demand=True, sights=(ALWAYS,), shed_rank=0,
    gives="wait_ns by the kernel's stack, where cheaper evidence does not tell",
    menu="why threads wait, where nothing cheaper tells; else that is a guess",
    helps=("slow",), slow_kind="wait", absent="this source knows no stacks",
)  # fmt: skip
MEM = Probe(
    "mem", default=True, on_demand=True, sights=(MEMORY,), shed_rank=3, carrier="syscall",
    gives="mmap_calls munmap_calls brk_calls allocated_bytes freed_bytes, and hints of leaks",
    menu="for the columns and the view of memory; runs only while they show",
    commands=("mem",), absent="this source knows no allocations",
)  # fmt: skip
SIGNALS = Probe(
    "signals", on_demand=True, panel=4, shed_rank=7,
    gives="signals with their sender, and the victims of the OOM killer",
    menu="for signals and OOM kills in panel 4; runs only while it shows",
    commands=("signals",), has_tables=False,
)  # fmt: skip

PROBES = (SCHED, LIFE, TASKS, SYSCALL, OPEN, KFUNC, BLOCK, VFS, TCP, SOCKETS, STACKS, MEM, SIGNALS)
BY_NAME = {probe.name: probe for probe in PROBES}


class Log(NamedTuple):
    """A log of events in the dashboard's panel 4 that is no probe of its own; off at first."""

    name: str
    needs: tuple[str, ...]
    """The probes that tell."""
    menu: str


LOGS = (
    Log("allocations", (MEM.name,), "to log calls that map or unmap 1 MiB and more, in panel 4"),
    Log("slow", (SYSCALL.name, BLOCK.name),
        "to log system calls and disk requests of 10 ms and more, in panel 4; not those that wait"
        " to be told"),
)  # fmt: skip
"""In the order of enum ebtop_log: their bits are those after the probes'."""
SLOW_NS, LOGGED_BYTES = 10_000_000, 1 << 20
"""What the dashboard logs is as slow, or as large, at least."""

NAMES = tuple(BY_NAME)
DEFAULT = tuple(probe.name for probe in PROBES if probe.default)
ON_DEMAND = tuple(probe.name for probe in PROBES if probe.on_demand)
STANDING = tuple(probe.name for probe in PROBES if probe.default and not probe.on_demand)
"""All accounts of processes lean on these: they run all the time, and are never shed."""
LOG_NAMES = tuple(log.name for log in LOGS)
SWITCHABLE = (*ON_DEMAND, *LOG_NAMES)
"""What the user of the dashboard can switch."""
CHOOSABLE = tuple(probe.name for probe in PROBES if probe.default or probe.on_demand)
"""What `--probes` can name: not what needs a function, nor what comes with another."""
STREAMS = frozenset(command for probe in PROBES for command in probe.commands)
"""The commands that need certain probes, and nothing else."""


def for_sights(panel: int, sights: Iterable[str]) -> frozenset[str]:
    """The probes that a panel (0: none) and other sights ask for."""
    seen = {ALWAYS, *sights}
    return frozenset(
        probe.name for probe in PROBES
        if (panel and probe.panel == panel) or not seen.isdisjoint(probe.sights)
    )  # fmt: skip


def for_logs(off: frozenset[str]) -> frozenset[str]:
    """The logs that are not off, and the probes that they need."""
    wanted = [log for log in LOGS if log.name not in off]
    return frozenset(name for log in wanted for name in (log.name, *log.needs))


def for_stream(command: str, kinds: Iterable[str] = ()) -> tuple[tuple[str, ...], frozenset[str]]:
    """The probes of a streaming command, and those of them that it can do without. `kinds` are the
    kinds of slow operations asked for."""
    wanted = [probe for probe in PROBES if command in (*probe.commands, *probe.helps)]
    if kinds:
        wanted = [probe for probe in wanted if probe.slow_kind in ("", *kinds)]
    # what runs for every stream is not missed: each event then says what it lacks
    helps = (probe.name for probe in wanted if command in probe.helps or probe is SCHED)
    return tuple(probe.name for probe in wanted), frozenset(helps)


def carried_by(names: Iterable[str]) -> tuple[str, ...]:
    """The probes that count through the programs of any of these probes."""
    carriers = set(names)
    return tuple(probe.name for probe in PROBES if probe.carrier in carriers)


def rank(name: str) -> tuple[int, str]:
    """A sort key: the probe to be shed first comes first."""
    known = BY_NAME.get(name)
    place = None if known is None else known.shed_rank
    return (len(PROBES) if place is None else place, name)
