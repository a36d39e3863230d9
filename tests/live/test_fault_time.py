# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Short lives whose time is page faults: no system call tells of it, only the clock's tick does."""

from __future__ import annotations

import json
import subprocess

import pytest
from observe import EMULATED, opened, watch, workload
from running import ebtop

from ebtop.model.layout import DIVIDED, EXITED

COUNTS = [(97, 32), (19, 200), (401, 8), (401, 1)]
"""Children, and MiB each. Of the smallest a tick meets every tenth: the others' time is all user
time in the kernel's own account, which is what sampled figures are to be."""
APART = 0.05


def _fewer(children: int) -> int:
    return children // 8 if EMULATED else children


@pytest.mark.parametrize("children, mib", COUNTS)
def test_user_time_of_short_lives_full_of_page_faults_is_that_of_getrusage(
    children: int, mib: int
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
        user_us / (user_us + kernel_us), abs=APART
    )
    # what the tick decides is not called counted
    assert counted <= 2 + lives / 10  # the rest of a life that ends just after a refresh may be


def test_run_says_the_same() -> None:
    children, mib = COUNTS[0]
    done = ebtop("run", "--json", "--", workload("faults"), str(_fewer(children)), str(mib))
    lines = (done.stdout + done.stderr).splitlines()
    user_us, kernel_us = next(map(int, line.split()) for line in lines if line[:1].isdigit())
    total = next(json.loads(line) for line in lines if line.startswith(b"{"))["total"]
    assert total["user_ns"] / (total["user_ns"] + total["kernel_ns"]) == pytest.approx(
        user_us / (user_us + kernel_us), abs=APART
    )
