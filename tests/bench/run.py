# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns `make bench`: ebtop and its peers side by side in one run, and the goals of the project.

`run.py` alone runs everything, in less than six minutes; `run.py switch start` those sections.
The exit status is 1 when a goal was missed. What the numbers mean is in docs/performance.md.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time

import dashboard
import kernel_memory
import pipe
import refresh
import start
import switch
from report import Report

from bpf import PATH

SECTIONS = {
    "switch": switch.run,
    "pipe": pipe.run,
    "memory": kernel_memory.run,
    "refresh": refresh.run,
    "start": start.run,
    "dashboard": dashboard.run,
}
NEEDED = ("perf", "htop", "top", "atop", "bpftool", "cc", "taskset")


def main(arguments: list[str]) -> int:
    wanted = arguments or list(SECTIONS)
    unknown = [name for name in wanted if name not in SECTIONS]
    if unknown:
        print(f"bench: no section {unknown[0]!r}; there are: {', '.join(SECTIONS)}")
        return 2
    if os.geteuid() != 0:
        print("bench: BPF needs root: sudo make bench")
        return 2
    missing = [tool for tool in NEEDED if not shutil.which(tool, path=PATH)]
    if missing:
        print(f"bench: missing: {' '.join(missing)}")
        return 2
    began = time.monotonic()
    _introduce()
    report = Report()
    for name in wanted:
        SECTIONS[name](report)
    status = report.close()
    report.say(f"\n{time.monotonic() - began:.0f} s")
    return status


def _introduce() -> None:
    load = os.getloadavg()[0]
    print(f"Linux {platform.release()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
    print(f"load when it began {load:.2f}; {', '.join(dashboard.versions())}", flush=True)
    if load > (os.cpu_count() or 1) / 2:
        print("the machine is busy: ratios hold better than times")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
