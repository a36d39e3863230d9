# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Measures what reasons to wait cost on a context switch, beside offcputime at the same time.

And how much of the time off the CPU has a reason. offcputime takes stacks at every switch; with -k
it looks at kernel threads alone, and passes over all others at once. Short waits: two ends of a
pipe. All sorts of waits: stress-ng.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections import defaultdict

import switch
from report import Report, median, spread

import bpf
from ebtop.model.waitreasons import REASONS
from ebtop.sources.bpf import Session

REPEATS = 3
LOOPS = 50_000
SECONDS = 3
MIXED = ("--cpu", "1", "--io", "1", "--switch", "1", "--futex", "1")


def run(report: Report) -> None:
    peer = shutil.which("offcputime", path=bpf.PATH)
    if not peer or not shutil.which("stress-ng", path=bpf.PATH):
        raise SystemExit("missing offcputime or stress-ng (apt-get: libbpf-tools stress-ng)")
    report.heading(f"Time per sched_switch in BPF, with reasons to wait: {REPEATS} repeats, ns")
    rows = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(bpf.statistics())
        owners = {
            "offcputime": stack.enter_context(bpf.peer([peer, "3600"])),
            "offcputime -k": stack.enter_context(bpf.peer([peer, "-k", "3600"])),
        }
        before = set(bpf.programs())
        session = stack.enter_context(Session())
        owners["ebtop"] = set(bpf.programs()) - before
        session.refresh()
        pipe = _measure(owners, lambda: switch.pipe(LOOPS))
        session.refresh()
        mixed = _measure(owners, _mixed)
        shares = _shares(session)
    for load, times in (("pipe", pipe), ("stress-ng", mixed)):
        rows += [(load, owner, f"{median(ns):.0f}", spread(ns, "{:.0f}")) for owner, ns in times]
    report.table(("load", "", "ns", "spread"), rows)
    report.say("\nOf the time off the CPU under stress-ng, all processes of the machine:")
    report.table(("reason", "share"), [(name, f"{part:.4f}") for name, part in shares.items()])
    for name, times, most in (("pipe", dict(pipe), 0.25), ("stress-ng", dict(mixed), 0.35)):
        ratio = median(times["ebtop"]) / median(times["offcputime"])
        report.goal(f"sched_switch, {name}: ebtop / offcputime", ratio, most)
    report.goal("time off the CPU without a reason", shares["other"], 0.05)


def _mixed() -> None:
    subprocess.run(["stress-ng", *MIXED, "-t", str(SECONDS)], check=True, capture_output=True)


def _measure(owners: dict[str, set[int]], load: object) -> list[tuple[str, list[float]]]:
    times: dict[str, switch.Times] = {owner: defaultdict(list) for owner in owners}
    for _ in range(REPEATS):
        switch.count(owners, times, load)
    return [(owner, switch.of_switch(found)) for owner, found in times.items()]


def _shares(session: Session) -> dict[str, float]:
    rows = list(session.refresh().processes.rows())
    waited = {name: sum(row[f"wait_{name}_ns"] for row in rows) for name in REASONS}
    whole = sum(waited.values())
    return {name: ns / whole for name, ns in waited.items()}
