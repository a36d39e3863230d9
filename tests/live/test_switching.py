# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sentences that must hold of probes that are switched while a session runs."""

from __future__ import annotations

import os

import pytest
from observe import row_of, value

from ebtop.model.snapshot import Snapshot
from ebtop.sources.bpf import Session

MANY, FEW = 50_021, 101
OWN = 2_000
"""More calls than a refresh makes by itself; the tests count those of their own process."""


def call(times: int) -> None:
    for _ in range(times):
        os.getppid()


def own_calls(snapshot: Snapshot) -> int | None:
    return value(row_of(snapshot, os.getpid()), "syscalls")


def test_system_calls_counted_anew_begin_from_0() -> None:
    with Session(["sched", "life", "tasks"]) as session:
        session.refresh()
        assert session.refresh().syscalls is None
        session.switch(["syscall"])
        call(MANY)
        first = own_calls(session.refresh())
        assert first is not None and MANY <= first < MANY + OWN
        session.switch([])
        call(MANY)
        off = session.refresh()
        assert off.syscalls is None and not own_calls(off)
        session.switch(["syscall"])
        call(FEW)
        again = own_calls(session.refresh())
        assert again is not None and FEW <= again < FEW + OWN
        total = own_calls(session.refresh(cumulative=True))
        assert total is not None and MANY + FEW <= total < MANY + FEW + 3 * OWN


@pytest.mark.long("it looks for leaks, and so does the soak")
def test_switching_many_times_leaks_no_descriptor() -> None:
    with Session(["sched", "life", "tasks"]) as session:
        session.refresh()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(7):
            session.switch(["syscall", "open"])
            session.refresh()
            session.switch([])
            session.refresh()
        assert len(os.listdir("/proc/self/fd")) == before
