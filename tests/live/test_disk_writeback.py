# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What kernel threads write back is in a row of its own, and credited to who left it in the page
cache: held against how much was written to files of a file system that nobody else uses.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from diskwork import filesystem, looped, place, untold
from fiowork import PROBES
from observe import row_of

from ebtop.model.snapshot import Snapshot
from ebtop.sources.bpf import Session

MIB = 1 << 20


@pytest.fixture(scope="module")
def folder() -> Iterator[str]:
    with place(16384) as found, looped(found.path, 60) as device, filesystem(device) as mounted:
        yield mounted


def writer(path: str, mib: int, more: str = "0") -> subprocess.Popen[str]:
    """A process that leaves so much in the page cache, and lives on until its input ends."""
    code = f"import os, sys; f = open({path!r}, 'wb', 0);" \
        f" [f.write(bytes({MIB})) for _ in range({mib})]; {more}; print('done', flush=True);" \
        " sys.stdin.read()"  # fmt: skip
    pipe = subprocess.PIPE
    child = subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True)
    assert child.stdout is not None and child.stdout.readline() == "done\n"
    return child


def rest_of(snapshot: Snapshot) -> dict[str, Any]:
    return next(row for row in snapshot.processes.rows() if row["pid"] == 0)


def until(session: Session, pid: int, wanted: int) -> int:
    """How much was written back for a process, in all intervals until it is so much."""
    end, total = time.monotonic() + 20, 0
    while total < wanted and time.monotonic() < end:
        total += row_of(session.refresh(), pid)["disk_written_back_bytes"]
        time.sleep(0.05)
    return total


def test_what_is_written_back_is_credited_to_who_had_written_it(folder: str) -> None:
    with Session(PROBES) as session:
        session.refresh()
        small, large = writer(f"{folder}/small", 3), writer(f"{folder}/large", 7)
        os.sync()
        snapshot = session.refresh()
        rows = {mib: row_of(snapshot, child.pid) for mib, child in ((3, small), (7, large))}
        late = untold().write_bytes
        for child in (small, large):
            child.communicate()
    for mib, row in rows.items():
        assert row["disk_written_later_bytes"] == pytest.approx(mib * MIB, rel=0.05)
        assert row["disk_written_back_bytes"] + late >= 0.99 * mib * MIB
        assert row["disk_written_back_bytes"] <= 1.05 * mib * MIB
        assert row["disk_write_bytes"] < MIB
    assert rest_of(snapshot)["comm"] == b"[writeback]"
    assert rest_of(snapshot)["disk_write_bytes"] + late >= 0.99 * 10 * MIB


def test_what_a_process_writes_itself_is_not_written_back(folder: str) -> None:
    with Session(PROBES) as session:
        session.refresh()
        child = writer(f"{folder}/own", 5, "os.fsync(f.fileno())")
        row = row_of(session.refresh(), child.pid)
        late = untold(child.pid).write_bytes
        child.communicate()
    whole = row["disk_write_bytes"] + late + row["disk_written_back_bytes"]
    assert whole == pytest.approx(5 * MIB, rel=0.05)
    assert row["disk_written_back_bytes"] <= MIB


def test_last_who_changes_a_file_is_credited(folder: str) -> None:
    path = f"{folder}/handed"
    with Session(PROBES) as session:
        session.refresh()
        first = writer(path, 2)
        os.sync()
        assert until(session, first.pid, 2 * MIB * 99 // 100) >= 2 * MIB * 99 // 100
        second = writer(path, 4)
        os.sync()
        snapshot = session.refresh()
        late = untold().write_bytes
        credit = [row_of(snapshot, who.pid)["disk_written_back_bytes"] for who in (first, second)]
        for child in (first, second):
            child.communicate()
    assert credit[0] < MIB // 2 and credit[1] + late >= 0.99 * 4 * MIB


def test_all_that_is_written_back_is_credited_to_somebody_or_nobody(folder: str) -> None:
    """The credit of all rows is what the row of write-back wrote, whole."""
    credited = written = quiet = 0
    end = time.monotonic() + 20
    with Session(PROBES) as session:
        session.refresh()
        child = writer(f"{folder}/sums", 3)
        os.sync()
        child.communicate()
        while quiet < 3 and time.monotonic() < end:  # each sum is taken a moment after the other
            snapshot = session.refresh()
            rest = [row["disk_write_bytes"] for row in snapshot.processes.rows() if not row["pid"]]
            credited += sum(snapshot.processes.column("disk_written_back_bytes"))
            written += sum(rest)
            quiet = 0 if rest else quiet + 1
            time.sleep(0.05)
    assert credited == written >= 2 * MIB
