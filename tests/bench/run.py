# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns `make bench`: ebtop and its peers side by side in one run, and the goals of the project.

`run.py` alone runs everything, in less than six minutes on a quiet machine; `run.py switch start`
those sections; `--patience SECONDS` is how long it waits for a busy machine to become quiet.
The exit status is 1 when a goal was missed. What the numbers mean is in docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import sys
import time

import connections
import dashboard
import disks
import kernel_memory
import mappings
import opens
import pipe
import profile_run
import refresh
import start
import switch
import syscalls
import waits
import whole
from machine import CPUS, busy_percent
from report import Report

from bpf import PATH

SECTIONS = {
    "switch": switch.run,
    "waits": waits.run,
    "whole": whole.run,
    "pipe": pipe.run,
    "syscall": syscalls.run,
    "memory": kernel_memory.run,
    "opens": opens.run,
    "connections": connections.run,
    "disks": disks.run,
    "mappings": mappings.run,
    "refresh": refresh.run,
    "run": profile_run.run,
    "start": start.run,
    "dashboard": dashboard.run,
}
NEEDED = ("perf", "htop", "top", "atop", "bpftool", "cc", "taskset", "opensnoop")
NEEDED += ("syscount", "strace", "unshare", "tcplife", "tcpstates", "ss")
NEEDED += ("fio", "biolatency", "offcputime", "stress-ng")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="ebtop and its peers, side by side")
    parser.add_argument("sections", nargs="*", help=", ".join(SECTIONS))
    parser.add_argument("--patience", type=float, default=dashboard.patience_s)
    options = parser.parse_args(arguments)
    dashboard.patience_s = options.patience
    wanted = options.sections or list(SECTIONS)
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
    # started by `&` in a script, the readers that are ended by it would rightly ignore it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    began = time.monotonic()
    _introduce()
    report = Report()
    for name in wanted:
        SECTIONS[name](report)
    status = report.close()
    report.say(f"\n{time.monotonic() - began:.0f} s")
    return status


def _introduce() -> None:
    print(f"Linux {platform.release()}, {CPUS} CPUs, Python {platform.python_version()}")
    print(", ".join(dashboard.versions()))
    busy = busy_percent(1.0)
    print(f"busy when it began: {busy:.0f} % of {CPUS * 100} %", flush=True)
    if busy > 10 * CPUS:
        print("something else is running: ratios hold better than times")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
