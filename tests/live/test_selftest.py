# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""`ebtop selftest`: it agrees with itself on this kernel, and it says so when it does not."""

from __future__ import annotations

import json
import time
from pathlib import Path

from running import ebtop

UNKNOWN_SOMEWHERE = {
    "disk_read_bytes": "a file system on a disk",
    "disk_write_bytes": "a file system on a disk",
}
"""What a guest may not have, where all of `/` is in memory."""


def _children(pid: int) -> list[str]:
    return Path(f"/proc/self/task/{pid}/children").read_text().split()


def test_every_figure_of_this_kernel_is_right() -> None:
    began = time.monotonic()
    done = ebtop("selftest", "--json", "--source", "bpf", timeout=300)
    took = time.monotonic() - began
    assert not done.stderr, done.stderr
    report = json.loads(done.stdout)
    checks = {check["metric"]: check for check in report["checks"]}
    assert {m: c for m, c in checks.items() if c["result"] == "MISS"} == {}
    unknown = {metric for metric, check in checks.items() if check["result"] == "UNKNOWN"}
    assert unknown <= set(UNKNOWN_SOMEWHERE), [checks[metric] for metric in unknown]
    assert report["passed"] == len(checks) - len(unknown) >= 35
    assert done.returncode == 0
    assert took < 120


def test_without_bpf_it_says_what_it_cannot_know() -> None:
    done = ebtop("selftest", "--json", "--source", "proc", timeout=300)
    checks = {check["metric"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["calls of getppid"]["result"] == "UNKNOWN"
    assert checks["processes born and ended"]["value"] is None
    assert checks["oncpu_ns"]["result"] == checks["voluntary_switches"]["result"] == "PASS"
