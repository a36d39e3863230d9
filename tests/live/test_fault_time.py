# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Short lives whose time is page faults: no system call tells of it, only the clock's tick does."""

from __future__ import annotations

import json
import subprocess

import pytest
from observe import EMULATED, opened, watch, workload
from running import ebtop

from ebtop.layout import DIVIDED, EXITED

COUNTS = [(97, 32, 0.05), (19, 200, 0.05), (401, 8, 0.08)]
"""Children, MiB each, and how far the share of user time may be off: the kernel's own account takes
all time of a process that no tick has met for user time, which of the smallest is every third."""


def _fewer(children: int) -> int:
    return children // 8 if EMULATED else children


@pytest.mark.parametrize("children, mib, apart", COUNTS)
def test_user_time_of_short_lives_full_of_page_faults_is_that_of_getrusage(
    children: int, mib: int, apart: float
) -> None:
    command = [workload("faults"), str(_fewer(children)), str(mib)]
    with opened() as session:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        user_ns = kernel_ns = lives = counted = 0
        ended = False
        while not ended:
            watch(session, 0.5, lambda: process.poll() is not None)
            ended = process.poll() is not None
            watch(session, 0.2 if ended else 0)
            for row in session.refresh().processes.rows():
                if row["ppid"] == process.pid:
                    user_ns, kernel_ns = user_ns + row["user_ns"], kernel_ns + row["kernel_ns"]
                    lives += bool(row["flags"] & EXITED)
                    counted += bool(row["flags"] & DIVIDED)
    assert process.stdout is not None
    user_us, kernel_us = map(int, process.stdout.read().split())
    assert lives == _fewer(children)
    assert user_ns / (user_ns + kernel_ns) == pytest.approx(
        user_us / (user_us + kernel_us), abs=apart
    )
    # what the tick decides is not called counted
    assert counted <= lives / 10


def test_run_says_the_same() -> None:
    children, mib, apart = COUNTS[0]
    done = ebtop("run", "--json", "--", workload("faults"), str(_fewer(children)), str(mib))
    lines = (done.stdout + done.stderr).splitlines()
    user_us, kernel_us = next(map(int, line.split()) for line in lines if line[:1].isdigit())
    total = next(json.loads(line) for line in lines if line.startswith(b"{"))["total"]
    assert total["user_ns"] / (total["user_ns"] + total["kernel_ns"]) == pytest.approx(
        user_us / (user_us + kernel_us), abs=apart
    )
