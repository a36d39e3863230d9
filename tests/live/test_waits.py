# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sentences that must hold of why threads are off the CPU: processes that wait for one
thing only, and all their time off the CPU has that reason; and a process's time adds up.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diskwork import place
from observe import EMULATED, opened, row_of, start, until_done, watch, workload

from ebtop.model.layout import BORN, EXITED
from ebtop.model.waitreasons import REASONS
from ebtop.sources.bpf import Session

SECONDS = 1.0 if not EMULATED else 4.0
ON_TMPFS = Path("/dev/shm")
"""Where waits for a lock are not mixed with waits for a disk."""
KINDS = {
    "nanosleep": "sleep", "timer": "sleep", "pipe": "pipe", "unix": "pipe", "socket": "network",
    "epoll": "poll", "event": "pipe", "child": "poll", "futex": "condition", "writers": "lock",
    "renamers": "lock",
}  # fmt: skip


def waits(row: dict[str, Any]) -> dict[str, int]:
    return {reason: row[f"wait_{reason}_ns"] for reason in REASONS}


def begin(kind: str, path: object = "") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [workload("waits"), kind, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def check(process: subprocess.Popen[str], reason: str) -> None:
    """In two intervals, for what is learnt in the first must not be needed in the second only."""
    with opened() as session:
        watch(session, SECONDS)
        first = row_of(session.refresh(), process.pid)
        watch(session, SECONDS)
        second = row_of(session.refresh(), process.pid)
        total = row_of(session.refresh(cumulative=True), process.pid)
    for row in (first, second, total):
        assert sum(waits(row).values()) == row["offcpu_ns"] > 0
        assert waits(row)[reason] >= 0.99 * row["offcpu_ns"], waits(row)


@pytest.fixture
def folder() -> Iterator[Path]:
    made = ON_TMPFS / f"ebtop-waits-{os.getpid()}"
    made.mkdir()
    yield made
    for path in made.iterdir():
        path.unlink()
    made.rmdir()


@pytest.mark.parametrize("kind", KINDS)
def test_all_time_off_the_cpu_has_its_reason(kind: str, folder: Path) -> None:
    path: object = {"writers": folder / "file", "renamers": folder}.get(kind, "")
    process = begin(kind, path)
    try:
        check(process, KINDS[kind])
    finally:
        end(process)


def test_direct_reads_wait_for_the_disk() -> None:
    with place(8191) as disk:
        process = begin("disk", disk.path)
        try:
            check(process, "disk")
        finally:
            end(process)


@pytest.mark.parametrize("kind", ["nanosleep", "child", "writers"])
def test_without_stacks_the_sum_stays_whole(kind: str, folder: Path) -> None:
    process = begin(kind, folder / "file")
    try:
        with opened(["sched", "life", "tasks"]) as session:
            assert {p.name: p.state for p in session.refresh().probes}["stacks"] == "off"
            watch(session, SECONDS)
            row = row_of(session.refresh(), process.pid)
    finally:
        end(process)
    assert sum(waits(row).values()) == row["offcpu_ns"]
    # a wait that cannot be interrupted is taken for one for a lock
    assert waits(row)[KINDS[kind]] >= 0.99 * row["offcpu_ns"]


def test_one_that_sleeps_through_all_intervals_has_its_reason_all_the_time() -> None:
    process = start("sleeps", "11")
    until_done(process)
    with opened() as session:
        for _ in range(3):
            time.sleep(0.1)
            row = row_of(snapshot := session.refresh(), process.pid)
            assert waits(row)["sleep"] == row["offcpu_ns"] == row["lifetime_ns"]
            assert row["offcpu_ns"] == pytest.approx(snapshot.interval_s * 1e9, abs=1000)
    end(process)


def budget(row: dict[str, Any]) -> int:
    return sum((row["oncpu_ns"], row["runq_wait_ns"], *waits(row).values()))


def test_time_adds_up_to_the_life_of_all_threads() -> None:
    """Of every process, but those that the kernel hides from BPF while they run."""
    processes = [begin("pipe"), begin("futex"), start("spin", "60000")]
    with opened() as session:
        session.refresh()
        watch(session, SECONDS)
        snapshot = session.refresh()
        for process in processes:
            row = row_of(snapshot, process.pid)
            # what is shown as lived is by the clock, the rest by what was counted
            assert abs(row["lifetime_ns"] - budget(row)) <= 0.01 * row["lifetime_ns"]
            assert row["lifetime_ns"] == pytest.approx(snapshot.interval_s * 1e9, rel=0.001)
    for process in processes:
        end(process)


def test_time_of_one_that_was_born_and_ended_adds_up() -> None:
    with opened() as session:
        process = subprocess.Popen([workload("act"), "spin", "300"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL)  # fmt: skip
        watch(session, 0.6 if not EMULATED else 4.0)
        process.kill()
        process.wait()
        watch(session, 0.1)
        row = row_of(session.refresh(), process.pid, gone=True)
    assert row["flags"] & BORN and row["flags"] & EXITED
    assert abs(row["lifetime_ns"] - budget(row)) <= 0.01 * row["lifetime_ns"]


def test_stacks_of_the_process_that_is_looked_at(folder: Path) -> None:
    process, other = begin("writers", folder / "file"), begin("nanosleep")
    try:
        with opened() as session:
            session.look_at(process.pid)
            watch(session, SECONDS)
            snapshot = session.refresh()
            assert snapshot.looked_at == process.pid and snapshot.waits is not None
            rows = list(snapshot.waits.rows())
            row = row_of(snapshot, process.pid)
            stacks_of_locks = [r for r in rows if REASONS[r["reason"]] == "lock"]
            waited = sum(r["ns"] for r in stacks_of_locks)
            assert 0 < waited <= 1.01 * row["wait_lock_ns"]
            assert all(r["count"] > 0 and r["frames"] > 2 and r["frame_0"] for r in rows)
            look_elsewhere(session, other.pid)
    finally:
        end(process)
        end(other)


def look_elsewhere(session: Session, pid: int) -> None:
    session.look_at(pid)
    watch(session, 0.3)
    snapshot = session.refresh()
    assert snapshot.looked_at == pid and snapshot.waits is not None
    assert {REASONS[row["reason"]] for row in snapshot.waits.rows()} == {"sleep"}
    session.look_at(0)
    assert not len(session.refresh().waits or [])
