# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what the tests of faults share: known work counted to the last, ebtop as a process that is
read sample by sample, and groups of processes with little memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

from observe import row_of, start, until_done, value
from running import command

from ebtop.model.layout import EXITED
from ebtop.model.snapshot import Snapshot
from ebtop.sources.bpf import Session

JSON = ("--json", "-n", "1", "-d", "0.2")
KERNEL = tuple(int(word) for word in os.uname().release.split("-")[0].split(".")[:2])
"""For what a test expects of a kernel; ebtop itself never asks for a version."""
MEMLOCK_COUNTS = KERNEL < (5, 11)
"""Whether maps are charged to RLIMIT_MEMLOCK, and not to the memory cgroup."""
CGROUPS = Path("/sys/fs/cgroup")


def proves_exact(session: Session) -> Snapshot:
    """211 sleeps and 53 children are counted to the last; the snapshot that says so."""
    session.refresh(reset=True)
    sleeper = start("sleeps", "211")
    until_done(sleeper)
    parent = start("forks", "53")
    until_done(parent)
    status = Path(f"/proc/{sleeper.pid}/status").read_text()
    snapshot = session.refresh(cumulative=True)
    counts = dict(line.split(":\t") for line in status.splitlines() if "ctxt_switches" in line)
    row = row_of(snapshot, sleeper.pid)
    assert row["voluntary_switches"] == int(counts["voluntary_ctxt_switches"]) >= 211
    assert row["involuntary_switches"] == int(counts["nonvoluntary_ctxt_switches"])
    children = [r for r in snapshot.processes.rows() if r["ppid"] == parent.pid]
    assert len(children) == 53 and all(r["flags"] & EXITED for r in children)
    assert sorted(value(r, "exit_code") >> 8 for r in children) == [0] * 27 + [7] * 26
    assert not any(snapshot.self_cost.lost_total.values())
    for process in (sleeper, parent):
        process.kill()
        process.wait()
    return snapshot


@contextmanager
def sampling(*arguments: str, before: tuple[str, ...] = ()) -> Iterator[Samples]:
    """`ebtop --json` as a process that goes on, started by the command `before`."""
    process = subprocess.Popen(
        [*before, *command("--json", *arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield Samples(process)
    finally:
        # the whole group: who becomes another user is not told of its parent's death any more
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


class Samples:
    """Its samples, one after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def next(self) -> dict[str, Any]:
        assert self.process.stdout is not None and self.process.stderr is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        found: dict[str, Any] = json.loads(line)
        return found

    def until_row(self, pid: int, ended: bool = False, most: int = 40) -> dict[str, Any]:
        """The row of a process, in the first sample that has it."""
        for _ in range(most):
            found = process_of(self.next(), pid, ended)
            if found:
                return found
        raise AssertionError(f"no row of {pid} in {most} samples")


def process_of(sample: dict[str, Any], pid: int, ended: bool = False) -> Optional[dict[str, Any]]:
    rows = [p for p in sample["processes"] if p["pid"] == pid and p["exited"] == ended]
    assert len(rows) <= 1
    return rows[0] if rows else None


@contextmanager
def little_memory(mebibytes: int) -> Iterator[tuple[str, ...]]:
    """The beginning of a command that then has so much memory, and no swap."""
    (CGROUPS / "cgroup.subtree_control").write_text("+memory")
    group = CGROUPS / f"ebtop-{mebibytes}"
    group.mkdir()
    (group / "memory.max").write_text(f"{mebibytes}M")
    try:
        yield ("sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh")
    finally:
        group.rmdir()
