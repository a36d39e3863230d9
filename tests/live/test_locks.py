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

from ebtop.session import Session
from ebtop.waitreasons import REASONS

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


def begin(kind: str) -> subprocess.Popen[str]:
    major, minor = (int(part) for part in platform.release().split(".")[:2])
    if (major, minor) < FIRST_KERNEL.get(kind, (0, 0)):
        pytest.skip(f"no {kind} in this kernel: not a capability of ebtop")
    if kind.endswith("-32") and platform.machine() != "x86_64":
        pytest.skip("64-bit code cannot make 32-bit calls here")
    process = subprocess.Popen([workload("locks"), kind], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def wait(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    time.sleep(0.05 if not EMULATED else 0.5)
    assert process.poll() is None, "it does not wait"


def check(session: Session, process: subprocess.Popen[str], reason: str) -> None:
    """Its main thread waits for that all the time, and its other one sleeps."""
    session.refresh()
    watch(session, SECONDS)
    row = row_of(session.refresh(), process.pid)
    waits = {name: row[f"wait_{name}_ns"] for name in REASONS}
    assert waits[reason] == pytest.approx(row["lifetime_ns"] / 2, rel=0.01), waits
    assert waits["sleep"] == pytest.approx(row["lifetime_ns"] / 2, rel=0.01), waits


@pytest.mark.parametrize("kind", KINDS)
def test_a_futex_is_a_lock_or_a_condition(kind: str) -> None:
    process = begin(kind)
    try:
        with opened() as session:  # it is seen as it begins to wait
            session.refresh()
            wait(process)
            check(session, process, KINDS[kind])
        with opened() as session:  # it has been waiting since before anybody watched
            check(session, process, KINDS[kind])
    finally:
        process.kill()
        process.wait()
