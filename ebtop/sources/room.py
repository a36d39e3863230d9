# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns how large the collector's tables are: what the machine's threads ask for, and what memory
there is for it. Less than that is said; where it is not worth while, BPF is done without.

How much memory there is is headroom.py's. A row of a table is the kernel's from the start on,
whether it is used or not.
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
"""Room for so many times the threads that there are; of connections, for half as many times."""
SLOTS_PER_CPU = 512
"""A CPU hands out its own slots alone: so many may be born on it between two looks."""
_MOST_PIDS = 1 << 22

THREAD_BYTES, CONNECTION_BYTES = 704, 288
FIXED_BYTES, LITTLE_FIXED_BYTES = 13 << 20, 6 << 20
"""Other tables, and programs, of few CPUs."""
CPU_BYTES = 1280 << 10
"""More of them by CPU, up to 16."""
LOADING_BYTES = 4 << 20
"""What the kernel takes while it verifies."""
OWN_BYTES = 18 << 20
"""What ebtop itself grows by, from before the tables are there to a screen of its own."""
_SHARED_CPUS = 16
LIGHT_THREAD_BYTES, LIGHT_BYTES = 256, 14 << 20
"""For a stream of events alone: no tables beside the slots, and ebtop itself."""


@dataclass(frozen=True)
class Room:
    """For so many threads and connections; with `little` other tables are small too."""

    threads: int = USUAL_THREADS
    connections: int = USUAL_CONNECTIONS
    little: bool = False
    about: Optional[str] = None
    """What is to be said of it."""
    light: bool = False
    """Nothing but events is asked for."""

    def bytes(self, cpus: int, pids: int) -> int:
        """What it takes, of ebtop's own growth and the kernel's."""
        own = LIGHT_BYTES if self.light else OWN_BYTES
        return self.tables(cpus, pids) + LOADING_BYTES + own

    def tables(self, cpus: int, pids: int) -> int:
        """What the kernel holds as long as ebtop runs."""
        if self.light:
            return self.threads * LIGHT_THREAD_BYTES + pids * 4
        rows = self.threads * THREAD_BYTES + self.connections * CONNECTION_BYTES + pids * 4
        shared = 1 if self.little else min(cpus, _SHARED_CPUS)
        return rows + (LITTLE_FIXED_BYTES if self.little else FIXED_BYTES) + shared * CPU_BYTES


def choose(light: bool = False, tables_bytes: Optional[int] = None, root: str = "/proc") -> Room:
    """What fits here. Raises EbtopError where that is too little to be of use.

    `tables_bytes`: what the kernel may hold for it, where that is less than there is.
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
    """What a machine with memory enough is given: more threads than pids there cannot be."""
    threads = _power_of_two(max(GROWTH * living, SLOTS_PER_CPU * cpus))
    return Room(threads=min(max(threads, USUAL_THREADS), MOST_THREADS, _power_of_two(pids)))


def fitting(
    whole: Room, living: int, cpus: int, pids: int, left: Optional[Headroom],
    why: Optional[str] = None, own: int = 0,
) -> Room:  # fmt: skip
    """The largest that there is memory for. `why` says how much that is, without `own`."""
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
