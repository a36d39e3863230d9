# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sizes of the collector's tables, from the number of threads and the memory available. A
reduced size is reported; if even the smallest does not fit, BPF is not used.

The memory available is headroom.py's. The kernel allocates all rows of a table at its creation,
whether they are used or not.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Optional

from ebtop.errors import EbtopError
from ebtop.sources.headroom import Headroom, headroom, number
from ebtop.sources.host import read_small

LEAST_THREADS, USUAL_THREADS, MOST_THREADS = 1024, 1 << 14, 1 << 16
LEAST_CONNECTIONS, USUAL_CONNECTIONS, MOST_CONNECTIONS = 1024, 3 << 14, 1 << 16
GROWTH = 8
"""Room for this many times the existing threads, and half as many times the open connections."""
SLOTS_PER_CPU = 512
"""Each CPU hands out slots of its own: this many threads may be born on it between two
refreshes."""
_MOST_PIDS = 1 << 22

THREAD_BYTES, CONNECTION_BYTES = 704, 288
FIXED_BYTES, LITTLE_FIXED_BYTES = 13 << 20, 6 << 20
"""Other tables, and programs, of few CPUs."""
CPU_BYTES = 1280 << 10
"""More of them by CPU, up to 16."""
LOADING_BYTES = 4 << 20
"""Memory that the kernel uses while it verifies programs."""
OWN_BYTES = 18 << 20
"""The growth of ebtop itself between the creation of the tables and its first screen."""
_SHARED_CPUS = 16
LIGHT_THREAD_BYTES, LIGHT_BYTES = 256, 14 << 20
"""For a stream of events, which has no tables but the slots."""


@dataclass(frozen=True)
class Room:
    """The number of threads and connections that fit; with `little` other tables are small too."""

    threads: int = USUAL_THREADS
    connections: int = USUAL_CONNECTIONS
    little: bool = False
    about: Optional[str] = None
    """The message for the user, if the size was reduced."""
    light: bool = False
    """Nothing but events is asked for."""

    def bytes(self, cpus: int, pids: int) -> int:
        """The memory needed, including the growth of ebtop itself."""
        own = LIGHT_BYTES if self.light else OWN_BYTES
        return self.tables(cpus, pids) + LOADING_BYTES + own

    def tables(self, cpus: int, pids: int) -> int:
        """The kernel memory used while ebtop runs."""
        if self.light:
            return self.threads * LIGHT_THREAD_BYTES + pids * 4
        rows = self.threads * THREAD_BYTES + self.connections * CONNECTION_BYTES + pids * 4
        shared = 1 if self.little else min(cpus, _SHARED_CPUS)
        return rows + (LITTLE_FIXED_BYTES if self.little else FIXED_BYTES) + shared * CPU_BYTES


def choose(light: bool = False, tables_bytes: Optional[int] = None, root: str = "/proc") -> Room:
    """The sizes that fit. Raises EbtopError if even the smallest does not.

    `tables_bytes`: an upper limit for kernel memory.
    """
    cpus = os.cpu_count() or 1
    pids = number(read_small(f"{root}/sys/kernel/pid_max")) or _MOST_PIDS
    living = living_threads(root)
    whole = replace(wanted(living, cpus, pids), light=light)
    if open_sockets(root) * GROWTH // 2 > USUAL_CONNECTIONS:
        whole = replace(whole, connections=MOST_CONNECTIONS)
    found = fitting(whole, living, cpus, pids, headroom(root))
    if tables_bytes is None or found.tables(cpus, pids) <= tables_bytes:
        return found
    own = whole.bytes(cpus, pids) - whole.tables(cpus, pids)
    part = Headroom(tables_bytes + own, "part of BPF")
    why = f"the command comes first: BPF may take {tables_bytes >> 20} MiB of the memory cgroup"
    return fitting(whole, living, cpus, pids, part, why, own)


def wanted(living: int, cpus: int, pids: int) -> Room:
    """The sizes for a machine with enough memory; there cannot be more threads than pids."""
    threads = _power_of_two(max(GROWTH * living, SLOTS_PER_CPU * cpus))
    return Room(threads=min(max(threads, USUAL_THREADS), MOST_THREADS, _power_of_two(pids)))


def fitting(
    whole: Room, living: int, cpus: int, pids: int, left: Optional[Headroom],
    why: Optional[str] = None, own: int = 0,
) -> Room:  # fmt: skip
    """The largest sizes that fit into memory. `why` explains the limit; `own` is not part of it."""
    if left is None or whole.bytes(cpus, pids) <= left.left:
        return whole
    why = why or f"the {left.what} leaves {left.left >> 20} MiB"
    least = max(LEAST_THREADS, _power_of_two(living + living // 4))
    threads, connections = whole.threads, whole.connections
    while threads > least or connections > LEAST_CONNECTIONS:
        threads = max(least, threads // 2)
        connections = max(LEAST_CONNECTIONS, connections // 2)
        about = f"{why}: room for {threads} threads and {connections} connections"
        room = Room(threads, connections, True, about, whole.light)
        if room.bytes(cpus, pids) <= left.left:
            return room
    need = Room(least, LEAST_CONNECTIONS, True, None, whole.light).bytes(cpus, pids)
    raise EbtopError(f"{why}, and BPF takes {(need - own >> 20) + 1}")


def living_threads(root: str = "/proc") -> int:
    """Of the whole machine; 0 where that is not known."""
    words = (read_small(f"{root}/loadavg") or b"").split()
    return (number(words[3].partition(b"/")[2]) or 0) if len(words) > 3 else 0


def open_sockets(root: str = "/proc") -> int:
    """Of TCP in our network namespace; 0 where that is not known."""
    for line in (read_small(f"{root}/net/sockstat") or b"").splitlines():
        words = line.split()
        if words[:2] == [b"TCP:", b"inuse"] and len(words) > 2:
            return number(words[2]) or 0
    return 0


def _power_of_two(count: int) -> int:
    return 1 << max(0, count - 1).bit_length()
