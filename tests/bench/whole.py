# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Measures what all of ebtop costs under a mixed load: its processes, its programs in the kernel.

With all default probes; once with a budget that is never reached, once with the default one, which
sheds the dearest probes, after it has had the time to.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from machine import CPUS, cpu_ns
from report import Report, median, spread
from waits import MIXED

import bpf

REPEATS = 3
SETTLE_S = 8
SECONDS = 10
ALL = "100"
"""A budget in percent that nothing reaches."""


def run(report: Report) -> None:
    report.heading(
        f"All of ebtop under stress-ng: percent of the machine, {REPEATS} times {SECONDS} s"
    )
    rows = []
    found = {}
    for name, budget in (("all probes", ALL), ("--budget 2, the default", "2")):
        own, kernel, shed = zip(*(_measure(budget) for _ in range(REPEATS)))
        both = [a + b for a, b in zip(own, kernel)]
        found[budget] = median(both)
        rows.append((name, f"{median(own):.2f}", f"{median(kernel):.2f}", f"{median(both):.2f}",
                     spread(both, "{:.2f}"), " ".join(sorted(set(shed))) or "-"))  # fmt: skip
    report.table(("", "processes", "in BPF", "together", "spread", "shed at the end"), rows)
    report.goal("all default probes, part of the machine", found[ALL], 2.0, " %")
    report.goal("the same with the default budget", found["2"], 2.0, " %")


def _measure(budget: str) -> tuple[float, float, str]:
    """Percent of the machine by ebtop's processes, by its programs; what is shed."""
    before = set(bpf.programs())
    with _load(), tempfile.NamedTemporaryFile() as out, bpf.statistics():
        command = [sys.executable, "-m", "ebtop", "--json", "--budget", budget]
        ebtop = subprocess.Popen(command, stdout=out)
        try:
            time.sleep(SETTLE_S)
            began, own = time.monotonic(), cpu_ns(ebtop.pid)
            kernel = _in_kernel(before, began + SECONDS)
            seconds = time.monotonic() - began
            own = cpu_ns(ebtop.pid) - own
        finally:
            ebtop.terminate()
            ebtop.wait()
        last = Path(out.name).read_text().splitlines()[-1]
    share = 100 / (seconds * 1e9 * CPUS)
    return own * share, kernel * share, _shed(last)


@contextlib.contextmanager
def _load() -> Iterator[None]:
    quiet = subprocess.DEVNULL
    load = subprocess.Popen(["stress-ng", *MIXED, "-t", "60"], stdout=quiet, stderr=quiet)
    try:
        yield
    finally:
        load.terminate()
        load.wait()


def _in_kernel(before: set[int], until: float) -> int:
    """What programs that were not there before take, those that come or go meanwhile too."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    start = True
    while start or time.monotonic() < until:
        for number, program in bpf.programs().items():
            if number not in before:
                last[number] = program.get("run_time_ns", 0)
                first.setdefault(number, last[number] if start else 0)
        start = False
        time.sleep(1)
    return sum(last[number] - first[number] for number in last)


def _shed(line: str) -> str:
    probes = json.loads(line)["probes"]
    shed = [p["name"] for p in probes if (p.get("reason") or "").startswith("shed")]
    return ",".join(shed)
