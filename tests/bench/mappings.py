# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Measures what a pair of mmap and munmap costs when memory is watched, and any other call then.

CPU time of a loop in its own process, so that others on the machine count for little; rounds are
interleaved, because machines drift. The time in BPF comes from the kernel's statistics.
"""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Optional

from report import Report, median, ratio, spread

from ebtop.sources.bpf import Session

ROUNDS = 5
LOOPS = {"pair": 200_000, "pair, a page touched": 200_000, "getppid": 1_000_000}
MODES = {"pair": "0", "pair, a page touched": "1", "getppid": "call"}
STANDING = ("sched", "life", "tasks")
WATCHES: dict[str, Optional[tuple[str, ...]]] = {
    "unwatched": None,
    "without mem": STANDING,
    "mem": (*STANDING, "mem"),
    "syscall": (*STANDING, "syscall"),
    "syscall and mem": (*STANDING, "syscall", "mem"),
}


def run(report: Report) -> None:
    report.heading(f"mmap and munmap of 16 pages, CPU ns a round: {ROUNDS} rounds")
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder) / "mapper")
        source = str(Path(__file__).with_name("mapper.c"))
        subprocess.run(["cc", "-O2", source, "-o", program], check=True)
        times = _rounds(program)
        rows = [
            (what, name, f"{median(values):.0f}", spread(values, "{:.0f}"))
            for what in MODES
            for name, values in times[what].items()
        ]
        report.table(("", "watched by", "ns", "spread"), rows)
        _in_bpf(report, program)
    for what in ("pair", "pair, a page touched"):
        ratios = map(ratio, times[what]["mem"], times[what]["without mem"])
        report.goal(f"mmap/munmap {what}, mem on / without", median(ratios), 1.15)


def _loop(program: str, what: str) -> float:
    """Nanoseconds of one round."""
    command = ["taskset", "-c", "1", program, str(LOOPS[what]), MODES[what]]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def _rounds(program: str) -> dict[str, dict[str, list[float]]]:
    times: dict[str, dict[str, list[float]]] = {
        what: {name: [] for name in WATCHES} for what in MODES
    }
    for _ in range(ROUNDS):
        for name, probes in WATCHES.items():
            with ExitStack() as stack:
                if probes is not None:
                    stack.enter_context(Session(probes)).refresh()
                for what in MODES:
                    times[what][name].append(_loop(program, what))
    return times


def _in_bpf(report: Report, program: str) -> None:
    """By the session's own account, both clock readings of the statistics included."""
    report.heading("Time in BPF, entry and return of a system call together, mem alone on, ns")
    rows = []
    with Session(WATCHES["mem"]) as session:
        session.refresh(cost=True)
        for what in ("pair", "getppid"):
            _loop(program, what)
            probes = {probe.name: probe for probe in session.refresh(cost=True).probes}
            runs, ns = probes["syscall"].runs, probes["syscall"].run_ns
            rows.append((what, f"{2 * ratio(ns or 0, runs or 1):.0f}"))
    report.table(("", "ns a call"), rows)
