# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""In a time namespace whose clocks are shifted: starts and ages are those that ps shows there, and
what the kernel's own clocks would spoil is not claimed."""

from __future__ import annotations

import json
import subprocess

import pytest
from running import command

JSON = ("--json", "-n", "1", "-d", "0.2")
AGE = "import time; print(time.clock_gettime_ns(time.CLOCK_BOOTTIME))"


@pytest.mark.parametrize("shift", [("--boottime", "86400"), ("--monotonic", "50000")])
def test_shifted_clocks_leave_proc_and_say_so(shift: tuple[str, str]) -> None:
    before = ["unshare", "-T", *shift, "--"]
    done = subprocess.run([*before, *command(*JSON)], capture_output=True, timeout=60, check=True)
    found = json.loads(done.stdout)
    assert found["source"] == "proc" and b"time namespace" in done.stderr
    clock = [*before, "python3", "-c", AGE]
    now = int(subprocess.run(clock, capture_output=True, check=True).stdout)
    own = max(row["start_ns"] for row in found["processes"])
    assert 0 <= now - own < 60e9
    insisting = [*before, *command("--source", "bpf", *JSON)]
    assert subprocess.run(insisting, capture_output=True, check=False).returncode == 77


def test_time_namespace_without_a_shift_is_like_none() -> None:
    before = ["unshare", "-T", "--"]
    done = subprocess.run([*before, *command(*JSON)], capture_output=True, timeout=60, check=True)
    assert json.loads(done.stdout)["source"] == "bpf" and not done.stderr
