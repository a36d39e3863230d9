# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what the bench needs of the machine: a crowd of sleepers, and what processes have used.

CPU time is the scheduler's own sum (schedstat, nanoseconds), not ticks. It starts no tool that is
measured; that is `viewer.py`.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

CPUS = os.cpu_count() or 1
HERE = Path(__file__).resolve().parent


def process_count() -> int:
    return sum(name.isdigit() for name in os.listdir("/proc"))


@contextlib.contextmanager
def processes(total: int) -> Iterator[int]:
    """So many processes on the machine, the missing ones asleep; how many there really are."""
    missing = total - process_count()
    if missing <= 0:
        yield process_count()
        return
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/sleepers"
        subprocess.run(["cc", "-O1", "-o", program, str(HERE / "sleepers.c")], check=True)
        crowd = subprocess.Popen([program, str(missing - 1)], stdout=subprocess.PIPE)
        assert crowd.stdout is not None
        try:
            if crowd.stdout.readline() != b"ready\n":
                raise SystemExit(f"cannot start {missing} processes; see ulimit -u, pid_max")
            yield process_count()
        finally:
            crowd.kill()
            crowd.wait()
            crowd.stdout.close()
            _wait_until_gone(total)


def _wait_until_gone(total: int) -> None:
    """The sleepers die by signal, one after the other; they must not run into the next part."""
    for _ in range(100):
        if process_count() < total // 2 + 100:
            return
        time.sleep(0.1)


def births() -> int:
    """Processes and threads born since the machine started."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("processes "):
            return int(line.split()[1])
    return 0


def busy_percent(seconds: float) -> float:
    """What all CPUs together do in the next seconds; 100 is one CPU."""
    before = idle_s()
    time.sleep(seconds)
    return max(0.0, (CPUS - (idle_s() - before) / seconds) * 100)


def idle_s() -> float:
    """What all CPUs together have idled since the machine started."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return (int(words[4]) + int(words[5])) / float(os.sysconf("SC_CLK_TCK"))


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for parent in found:
        try:
            tasks = os.listdir(f"/proc/{parent}/task")
        except OSError:
            continue
        for task in tasks:
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{parent}/task/{task}/children").read_text()
                found += map(int, text.split())
    return found


def cpu_ns(pid: int) -> int:
    """User and system time of a process and its descendants, all threads."""
    used = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{member}/task"):
                text = Path(f"/proc/{member}/task/{task}/schedstat").read_text()
                used += int(text.split()[0])
    return used


def memory_bytes(pid: int) -> tuple[int, int]:
    """(RSS, PSS) summed over a process and its descendants."""
    sums = {"Rss:": 0, "Pss:": 0}
    for member in family(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
                words = line.split()
                if words and words[0] in sums:
                    sums[words[0]] += int(words[1]) * 1024
    return sums["Rss:"], sums["Pss:"]
