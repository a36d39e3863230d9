# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns fio as a witness of disk requests: what it says it did, and what a session says of its
processes meanwhile. It checks nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

import pytest
from diskwork import Place, Untold, untold
from observe import EMULATED

from ebtop.model.snapshot import Snapshot
from ebtop.sources.bpf import Session

PROBES = ["sched", "life", "tasks", "block"]
COUNTS = ("disk_reads", "disk_read_bytes", "disk_writes", "disk_write_bytes")
FIO = shutil.which("fio")
needs_fio = pytest.mark.skipif(FIO is None and not EMULATED, reason="fio is not installed")
slow = pytest.mark.long("fio is slow to start where all is emulated")


@dataclass(frozen=True)
class Measured:
    """`rows` are those of fio's processes, with what the kernel told no program of."""

    jobs: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    snapshot: Snapshot
    untold: Untold

    @property
    def job(self) -> dict[str, Any]:
        return self.jobs[0]

    @property
    def row(self) -> dict[str, Any]:
        """That of the process which did most."""
        return max(self.rows, key=lambda row: int(row["disk_timed"]))

    def told_bytes(self, way: str) -> int:
        return sum(job[way]["io_bytes"] for job in self.jobs)

    def counted_bytes(self, way: str) -> int:
        return sum(row[f"disk_{way}_bytes"] for row in self.rows)

    def rest_bytes(self, way: str) -> int:
        """What is charged to no process."""
        rows = self.snapshot.processes.rows()
        return sum(row[f"disk_{way}_bytes"] for row in rows if row["pid"] == 0)


def fio(place: Place, *options: str) -> list[dict[str, Any]]:
    """fio's report of its jobs."""
    assert FIO is not None
    command = [FIO, f"--filename={place.path}", "--output-format=json"]
    if not any(option.startswith("--size=") for option in options):
        command.append("--size=32m")
    if not any(option.startswith("--name=") for option in options):
        command.append("--name=known")
    done = subprocess.run([*command, *options], capture_output=True, check=False, text=True)
    if done.returncode:
        pytest.skip(f"fio cannot do that here: {(done.stderr or done.stdout).splitlines()[:1]}")
    # notes about the engine come before
    jobs: list[dict[str, Any]] = json.loads(done.stdout[done.stdout.index("{") :])["jobs"]
    return jobs


def measured(place: Place, *options: str) -> Measured:
    fio(place, "--number_ios=1", *options)  # its libraries are in memory now
    os.sync()
    with Session(PROBES) as session:
        session.refresh()
        jobs = fio(place, *options)
        snapshot = session.refresh()
        rows = [row for row in snapshot.processes.rows() if row["comm"] == b"fio"]
        for row in rows:
            late = dict(zip(COUNTS, untold(row["pid"])))
            row.update({name: row[name] + late[name] for name in COUNTS})
        return Measured(jobs, rows, snapshot, untold())
