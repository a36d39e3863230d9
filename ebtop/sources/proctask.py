# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns how one process or thread is read from /proc, and its row for an interval.

It decides which values are counted, which come from clock ticks, and which are unknown. Which tasks
exist, and their order, is procfs.py's.
"""

from __future__ import annotations

import os
from typing import NamedTuple, Optional

from ebtop.model.layout import (
    BORN,
    EXITED,
    KERNEL,
    KNOWN_BIT,
    MEMORY_PARTS,
    NOT_COUNTED,
    RAN,
    ROW,
    known_mask,
)
from ebtop.sources.host import read_small
from ebtop.sources.procaccess import NOTHING, Access
from ebtop.sources.procparse import (
    TICK_NS,
    Stat,
    Status,
    parse_schedstat,
    parse_stat,
    parse_status,
)

_MOST = (1 << 64) - 1
_ZOMBIE = b"ZXx"
_MOST_THREADS = 64
_ALWAYS = ("start_ns", "ppid", "threads", "state")

COUNTED = (
    "oncpu_ns", "user_ns", "kernel_ns", "runq_wait_ns", "voluntary_switches",
    "involuntary_switches", "minor_faults", "major_faults", "disk_read_bytes", "disk_write_bytes",
)  # fmt: skip
"""The counters that /proc knows."""
Counts = tuple[Optional[int], ...]  # one for each of COUNTED, in their order
NO_COUNTS: Counts = (None,) * len(COUNTED)


_ALWAYS_KNOWN = known_mask(*_ALWAYS)
_COUNTER_BITS = tuple(1 << KNOWN_BIT[name] for name in COUNTED)


class Sample(NamedTuple):
    """The files of one task, read at one moment."""

    stat: Stat
    status: Status
    sched: tuple[int, int, int] | None
    alone: bool
    """Its own schedstat and switches are all there is: a thread, or a process of one thread."""
    access: Access = NOTHING

    @property
    def ended(self) -> bool:
        return self.stat.state in _ZOMBIE and self.alone


def read_sched(path: str) -> tuple[int, int, int] | None:
    return parse_schedstat(read_small(path + "/schedstat"))


def read_sample(path: str, *, thread: bool) -> Sample | None:
    """None if the task is gone or hidden, or its `stat` is malformed."""
    sched = read_sched(path)
    stat = parse_stat(read_small(path + "/stat"))
    if stat is None:
        return None
    alone = thread or stat.threads <= 1
    if not alone and stat.state in _ZOMBIE:
        stat, path = _by_living_thread(stat, path)
    status = parse_status(read_small(path + "/status"))
    return Sample(stat, status, sched, alone)


def _by_living_thread(stat: Stat, path: str) -> tuple[Stat, str]:
    """A leader that has ended has no memory any more, and its state is not the process's: another
    thread's files tell of both. With the folder to read on in."""
    try:
        tids = os.listdir(path + "/task")
    except OSError:
        return stat, path
    for tid in tids[:_MOST_THREADS]:
        folder = f"{path}/task/{tid}"
        other = parse_stat(read_small(folder + "/stat"))
        if other is not None and other.state not in _ZOMBIE:
            return stat._replace(
                state=other.state, virtual_bytes=other.virtual_bytes, rss_bytes=other.rss_bytes
            ), folder
    return stat, path


def totals(sample: Sample) -> Counts:
    """Counters since the task began, in the order of COUNTED."""
    stat, status, sched = sample.stat, sample.status, sample.sched
    exact = sched if sample.alone else None
    return (
        exact[0] if exact else stat.user_ns + stat.kernel_ns,
        stat.user_ns,
        stat.kernel_ns,
        exact[1] if exact else None,
        status.voluntary_switches if sample.alone else None,
        status.involuntary_switches if sample.alone else None,
        stat.minor_faults,
        stat.major_faults,
        sample.access.read_bytes,
        sample.access.write_bytes,
    )


def difference(old: Sample, new: Sample) -> Counts:
    """Counters of the interval between two samples of one task; never negative."""
    counts = [
        None if a is None or b is None else max(0, b - a) for a, b in zip(totals(old), totals(new))
    ]
    counts[0] = _oncpu_ns(old, new)
    return tuple(counts)


def _oncpu_ns(old: Sample, new: Sample) -> int:
    ticks_ns = max(0, new.stat.user_ns - old.stat.user_ns)
    ticks_ns += max(0, new.stat.kernel_ns - old.stat.kernel_ns)
    if not (old.alone and new.alone and old.sched and new.sched):
        return ticks_ns
    exact_ns = max(0, new.sched[0] - old.sched[0])
    # other threads may have come and gone in between: the ticks have their time, schedstat has not
    return ticks_ns if ticks_ns > exact_ns + 2 * TICK_NS else exact_ns


def nothing(sample: Sample) -> Counts:
    """Counters of an interval in which the task did not run."""
    return tuple(None if value is None else 0 for value in totals(sample))


def ran(counts: Counts) -> bool:
    return any(counts)


def added(sums: Counts, counts: Counts) -> Counts:
    """Unknown once is unknown in the sum."""
    return tuple(None if a is None or b is None else a + b for a, b in zip(sums, counts))


def pack_row(sample: Sample, pid: int, tid: int, counts: Counts, flags: int) -> bytes:
    """The row of one interval; `flags` RAN and BORN as the caller found, the others added here."""
    stat, status = sample.stat, sample.status
    values: dict[str, int | bytes] = {
        name: min(value, _MOST) for name, value in zip(COUNTED, counts) if value is not None
    }
    known = _ALWAYS_KNOWN
    for bit, value in zip(_COUNTER_BITS, counts):
        if value is not None:
            known |= bit
    facts = {"uid": status.uid, **_memory(sample), "exit_code": _exit_code(sample)}
    for name, value in facts.items():
        if value is not None:
            known |= 1 << KNOWN_BIT[name]
            values[name] = value
    values["call"] = sample.access.call
    if sample.ended:
        flags |= EXITED
    if stat.kernel_thread:
        flags |= KERNEL
    # another file of each process would have to be read
    values.update(dict.fromkeys(MEMORY_PARTS, NOT_COUNTED))
    values.update(
        known=known, start_ns=stat.start_ns, pid=pid, tid=tid, ppid=stat.ppid,
        threads=stat.threads, state=stat.state, flags=flags, comm=stat.comm,
        process_comm=stat.comm,
    )  # fmt: skip
    return ROW.pack(values)


def _memory(sample: Sample) -> dict[str, int | None]:
    # a kernel thread and a zombie have no address space: not 0 bytes of one
    if sample.stat.kernel_thread or sample.ended:
        return {}
    return {
        "rss_bytes": sample.stat.rss_bytes,
        "virtual_bytes": sample.stat.virtual_bytes,
        "peak_rss_bytes": sample.status.peak_rss_bytes,
    }


def _exit_code(sample: Sample) -> int | None:
    """The kernel writes 0 to readers who may not know it."""
    code = sample.stat.exit_code
    may_know = os.geteuid() == 0 or bool(code)
    return code if sample.ended and may_know else None


ACTIVE_FLAGS = RAN | BORN
