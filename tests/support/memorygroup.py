# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns groups of processes with little memory: a memory cgroup of either version, with a limit, its
peak, and how many were killed in it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Optional

ROOT = Path("/sys/fs/cgroup")


class MemoryGroup:
    """`before` is the beginning of a command that then runs in it."""

    def __init__(self, folder: Path, version: int) -> None:
        self.folder = folder
        self._version = version
        enter = f'echo $$ > {folder}/cgroup.procs && exec "$@"'
        self.before = ("/bin/sh", "-c", enter, "sh")

    def limit(self, count: int) -> None:
        names = ("memory.limit_in_bytes",) if self._version == 1 else ("memory.max",)
        for name in names:
            (self.folder / name).write_text(str(count))
        with suppress(OSError):  # no swap, or none that is counted
            (self.folder / "memory.swap.max").write_text("0")

    def peak_bytes(self) -> Optional[int]:
        """None before Linux 5.19 with version 2."""
        name = "memory.max_usage_in_bytes" if self._version == 1 else "memory.peak"
        path = self.folder / name
        return int(path.read_text()) if path.exists() else None

    def kills(self) -> int:
        name = "memory.oom_control" if self._version == 1 else "memory.events"
        lines = dict(line.split() for line in (self.folder / name).read_text().splitlines())
        return int(lines["oom_kill"])

    def end(self) -> None:
        """Nobody is left in it."""
        deadline = time.monotonic() + 10
        while True:
            pids = [int(pid) for pid in (self.folder / "cgroup.procs").read_text().split()]
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with suppress(OSError):
                self.folder.rmdir()
                return
            assert time.monotonic() < deadline, pids
            time.sleep(0.02)


def version() -> int:
    """Of the memory controller here: 0 where there is none."""
    if (ROOT / "memory" / "memory.limit_in_bytes").exists() or (ROOT / "memory/tasks").exists():
        return 1
    with suppress(OSError):
        if "memory" in (ROOT / "cgroup.controllers").read_text().split():
            return 2
    return 0


@contextmanager
def memory_group(limit: Optional[int] = None) -> Iterator[MemoryGroup]:
    kind = version()
    assert kind, "no memory cgroups here"
    if kind == 2:
        (ROOT / "cgroup.subtree_control").write_text("+memory")
    folder = (ROOT / "memory" if kind == 1 else ROOT) / f"ebtop-test-{os.getpid()}-{time.time_ns()}"
    folder.mkdir()
    group = MemoryGroup(folder, kind)
    try:
        if limit is not None:
            group.limit(limit)
        yield group
    finally:
        group.end()
