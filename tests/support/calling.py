# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns a process that makes system calls when told to, and what a session counted of them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from observe import until_asleep, workload

from ebtop.model import syscallnames
from ebtop.model.filters import KernelFilter
from ebtop.model.layout import LOG2_BUCKETS
from ebtop.model.snapshot import Snapshot
from ebtop.sources.bpf import Session

TEN = {"getppid": (1009, False), "close": (211, True), "getpgid": (307, False),
       "chdir": (101, True), "umask": (401, False), "kill": (103, True),
       "sched_yield": (503, False), "listen": (107, True), "getsid": (601, False),
       "flock": (109, True)}  # fmt: skip
"""What `calls ten` does: how many of each, and whether they fail."""


class Caller:
    """The workload `calls`: it waits, does what it was told to, and waits again."""

    def __init__(self, *words: str) -> None:
        pipe = subprocess.PIPE
        command = [workload("calls"), *words]
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.pid = self.process.pid
        assert self._line() == "ready"
        until_asleep(self.pid)

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def begin(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def until_done(self) -> list[str]:
        """The lines that it printed before."""
        lines = list(iter(self._line, "done"))
        until_asleep(self.pid)
        return lines

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def calling(*words: str) -> Iterator[Caller]:
    caller = Caller(*words)
    try:
        yield caller
    finally:
        caller.end()


def table(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    assert snapshot.syscalls is not None
    return {
        syscallnames.name_of(row["number"], bool(row["compat"])): row
        for row in snapshot.syscalls.rows()
        if not row["compat"]
    }


def histogram(row: dict[str, Any]) -> list[int]:
    return [row[f"histogram_{i}"] for i in range(LOG2_BUCKETS)]


def only(caller: Caller, **filters: Any) -> Session:
    """A session that counts this process alone, and is past its first refresh."""
    session = Session(filter=KernelFilter(pid=caller.pid, **filters))
    session.refresh()
    return session
