# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sentences that must hold of calls that never begin, and of numbers that no table has."""

from __future__ import annotations

import platform
import subprocess
import time
from typing import Any

import pytest
from observe import EMULATED, row_of, unexpected, watch, workload

from ebtop.model.filters import KernelFilter
from ebtop.model.snapshot import Snapshot
from ebtop.model.syscallnames import MANY, name_in
from ebtop.sources.bpf import Session

REFUSED = {"getppid": (101, 101), "umask": (19, 0), "sync": (17, 17), "getsid": (3, 3),
           "getpgid": (2, 2)}  # fmt: skip
"""Calls and errors: one that is refused with success is no error."""
BIRTHS = {"vfork": (7, 0), "fork": (13, 0)}
ODD = {"syscall_9999": (5, 5), "syscall_-1": (3, 3)}

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="fork and vfork are calls of x86"
)


def counted(*words: str) -> tuple[Snapshot, int]:
    """What the workload did, all of it, by a session that watched its tree alone."""
    process = subprocess.Popen([workload("refused"), *words], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    with Session(["sched", "life", "tasks", "syscall"],
                 filter=KernelFilter(pid=process.pid, descendants=True)) as session:  # fmt: skip
        session.refresh()
        process.communicate("\n")
        assert process.returncode == 0
        watch(session, 0.2 if not EMULATED else 2)
        snapshot = session.refresh()
    assert not unexpected(snapshot.self_cost.lost)
    return snapshot, process.pid


def by_name(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    assert snapshot.syscalls is not None
    return {name_in(row): row for row in snapshot.syscalls.rows()}


def test_what_seccomp_refuses_traps_and_kills_is_counted_with_its_error() -> None:
    snapshot, pid = counted()
    rows = by_name(snapshot)
    found = {name: (rows[name]["calls"], rows[name]["errors"]) for name in rows}
    wanted = {**REFUSED, **BIRTHS, **ODD}
    assert {name: found.get(name) for name in wanted} == wanted
    assert found.get("clone3", found.get("clone")) == (16, 0)
    # who never began took no time
    assert all(rows[name]["total_ns"] == rows[name]["max_ns"] == 0 for name in REFUSED)
    assert (rows["syscall_9999"]["number"], rows["syscall_-1"]["number"]) == (9999, -1)
    # of the process itself: all but what its children did
    row = row_of(snapshot, pid, gone=True)
    assert row["syscall_errors"] == 101 + 17 + 3 + 5 + 3


def test_of_many_odd_numbers_none_is_lost() -> None:
    rows = by_name(counted("many")[0])
    odd = {name: row for name, row in rows.items() if name.startswith("syscall_")}
    assert sum(row["calls"] for row in odd.values()) == 200 + 5 + 3
    assert odd[MANY]["many"] and 100 < odd[MANY]["calls"] <= 150
    assert all(row["calls"] == 1 for name, row in odd.items()
               if name not in (MANY, "syscall_9999", "syscall_-1"))  # fmt: skip
