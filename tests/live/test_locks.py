# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sentences that must hold of futexes: who waits for a lock that somebody holds is told
from who waits for a condition, whichever runtime made the call and whenever it began.
"""

from __future__ import annotations

import platform
import subprocess
import time

import pytest
from observe import EMULATED, opened, row_of, watch, workload

from ebtop.model.snapshot import Snapshot
from ebtop.model.waitreasons import REASONS
from ebtop.sources.bpf import Session

SECONDS = 0.4 if not EMULATED else 2.0
LOCKS = (
    "mutex", "timed-mutex", "shared-mutex", "pi-mutex", "robust-mutex", "readers", "writer",
    "two-writers", "rust-mutex", "rust-rwlock", "go-lock", "musl-mutex", "lock-pi", "lock-pi2",
    "futex2-lock", "lock-32",
)  # fmt: skip
CONDITIONS = (
    "condition", "timed-condition", "semaphore", "join", "barrier", "rust-parked", "rust-condvar",
    "go-idle", "requeue-pi", "waitv", "futex2-condition", "sysv-semaphore", "condition-32",
)  # fmt: skip
KINDS = {**dict.fromkeys(LOCKS, "lock"), **dict.fromkeys(CONDITIONS, "condition")}
FIRST_KERNEL = {"lock-pi2": (5, 14), "waitv": (5, 16), "futex2-lock": (6, 7),
                "futex2-condition": (6, 7)}  # fmt: skip
"""Since when there are such calls: the tests must be right, so they may ask."""


def is_here(kind: str) -> bool:
    major, minor = (int(part) for part in platform.release().split(".")[:2])
    native = not kind.endswith("-32") or platform.machine() == "x86_64"
    return native and (major, minor) >= FIRST_KERNEL.get(kind, (0, 0))


def begin(kind: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([workload("locks"), kind], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def wait(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def wrong(snapshot: Snapshot, pid: int, reason: str) -> str:
    """Its main thread waits for that all the time, and its other one sleeps."""
    row = row_of(snapshot, pid)
    waits = {name: row[f"wait_{name}_ns"] for name in REASONS if row[f"wait_{name}_ns"]}
    half = row["lifetime_ns"] / 2
    right = {reason: pytest.approx(half, rel=0.01), "sleep": pytest.approx(half, rel=0.01)}
    return "" if waits == right else f"{row['lifetime_ns']}: {waits}"


def check(session: Session, processes: dict[str, subprocess.Popen[str]]) -> None:
    session.refresh()
    watch(session, SECONDS)
    snapshot = session.refresh()
    found = {kind: wrong(snapshot, process.pid, KINDS[kind]) for kind, process in processes.items()}
    assert not {kind: what for kind, what in found.items() if what}


def test_a_futex_is_a_lock_or_a_condition() -> None:
    processes = {kind: begin(kind) for kind in KINDS if is_here(kind)}
    try:
        with opened() as session:  # they are seen as they begin to wait
            session.refresh()
            for process in processes.values():
                wait(process)
            time.sleep(0.3 if not EMULATED else 3)
            assert all(process.poll() is None for process in processes.values())
            check(session, processes)
        with opened() as session:  # they have been waiting since before anybody watched
            check(session, processes)
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
