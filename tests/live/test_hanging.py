# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sentences that must hold of threads that hang: in which call, since when, and where each
of them is, though it does not run.
"""

from __future__ import annotations

import subprocess
import time
from typing import Any

import pytest
from observe import EMULATED, until_asleep, watch, workload

from ebtop.model.callnow import call_now, call_now_ns
from ebtop.model.snapshot import Snapshot
from ebtop.sources.bpf import Session

PROBES = ["sched", "life", "tasks", "stacks"]
SLACK_S = 0.05 if not EMULATED else 1.0


def hang() -> tuple[subprocess.Popen[str], float]:
    """Its main thread waits for a mutex that its other one holds, which pauses. And since when."""
    process = subprocess.Popen([workload("locks"), "mutex"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    until_asleep(process.pid)
    return process, time.monotonic()


def go_on(process: subprocess.Popen[str]) -> float:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    began = time.monotonic()
    time.sleep(0.05 if not EMULATED else 1)
    return began


def threads(snapshot: Snapshot, pid: int) -> list[dict[str, Any]]:
    """Its main thread first."""
    return sorted((row for row in snapshot.threads.rows() if row["pid"] == pid),
                  key=lambda row: row["tid"])  # fmt: skip


def check(snapshot: Snapshot, row: dict[str, Any], call: str, since: float) -> None:
    ns = call_now_ns(row, snapshot)
    assert call_now(row) == call and ns is not None
    assert ns / 1e9 == pytest.approx(snapshot.taken_ns / 1e9 - since, abs=SLACK_S)


@pytest.mark.parametrize("probes", [PROBES, [*PROBES, "syscall"]])
def test_who_hangs_since_before_anybody_watched_is_known(probes: list[str]) -> None:
    process, since = hang()
    try:
        time.sleep(0.5)
        with Session(probes) as session:
            session.refresh(threads=True, functions=True)
            watch(session, 0.2 if not EMULATED else 2)
            snapshot = session.refresh(threads=True, functions=True)
            main, other = threads(snapshot, process.pid)
            check(snapshot, main, "read", since)
            check(snapshot, other, "pause", since)
            assert b"read" in snapshot.symbols[main["function"]]
            # and who begins to hang now
            since = go_on(process)
            snapshot = session.refresh(threads=True, functions=True)
            main, other = threads(snapshot, process.pid)
            check(snapshot, main, "futex", since)
            assert b"futex" in snapshot.symbols[main["function"]]
            # which is so as long as nothing happens
            watch(session, 0.5)
            snapshot = session.refresh(threads=True, functions=True)
            check(snapshot, threads(snapshot, process.pid)[0], "futex", since)
    finally:
        process.kill()
        process.wait()


def test_threads_of_the_process_looked_at_are_known_without_asking_for_all() -> None:
    process, since = hang()
    other, _ = hang()
    try:
        with Session(PROBES) as session:
            session.refresh()
            session.look_at(process.pid)
            watch(session, 0.2 if not EMULATED else 2)
            snapshot = session.refresh()
            main, sleeper = threads(snapshot, process.pid)
            check(snapshot, main, "read", since)
            assert main["function"] and sleeper["function"]
            assert not threads(snapshot, other.pid)
    finally:
        for one in (process, other):
            one.kill()
            one.wait()
