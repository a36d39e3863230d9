# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Measures what a dashboard costs while nothing happens, and how that grows with what sleeps.

ebtop, htop, top and atop one after the other, round by round, each in a terminal of the same size
with the same refresh. A round is a whole number of refreshes, from the silence after one frame to
the silence after another, so that it does not matter where in a period it begins. A round in which
somebody else worked says nothing about rest: it is run again once the machine is quiet.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections import defaultdict
from dataclasses import dataclass, field

from machine import (
    CPUS,
    births,
    busy_percent,
    cpu_ns,
    idle_s,
    memory_bytes,
    process_count,
    processes,
)
from report import Report, median, spread
from viewer import COMMANDS, SIZE, Viewer

import bpf

FEW, MANY = 100, 10_000
ROUNDS = 3
REFRESHES = 4
WARM_UP = 3
"""Refreshes before the measured ones: first frames read what later ones remember."""
MOST_BIRTHS = 20
MOST_OTHERS_PERCENT = 10.0
"""More births, or more CPU of others, and a round is disturbed."""
patience_s = 120.0
"""So long all in all the bench waits for a quiet machine; then it takes rounds as they come."""


@dataclass
class Costs:
    """Of one tool, a value a round."""

    percent: list[float] = field(default_factory=list)
    refresh_ms: list[float] = field(default_factory=list)
    probe_percent: list[float] = field(default_factory=list)
    rss: list[int] = field(default_factory=list)
    pss: list[int] = field(default_factory=list)


def run(report: Report) -> None:
    width, height = SIZE
    report.heading(f"CPU of a dashboard: 2 s refresh, {width}x{height}, {ROUNDS} rounds")
    with processes(FEW):
        few = _measure(report, {tool: ROUNDS if tool == "ebtop" else 1 for tool in COMMANDS})
        _print(report, few, process_count())
    with processes(MANY):
        many = _measure(report, dict.fromkeys(COMMANDS, ROUNDS))
        _print(report, many, process_count())
    ours = median(many["ebtop"].percent)
    report.goal(f"CPU, {MANY} asleep: ebtop / htop", ours / median(many["htop"].percent), 0.1)
    report.goal(f"CPU, {MANY} asleep: ebtop / top", ours / median(many["top"].percent), 0.2)
    report.goal(f"CPU of ebtop: {MANY} asleep / {FEW}", ours / median(few["ebtop"].percent), 1.5)
    report.goal(f"resident, {MANY} asleep", max(many["ebtop"].rss) / 1e6, 40, " MB")


def _measure(report: Report, rounds: dict[str, int]) -> dict[str, Costs]:
    costs: dict[str, Costs] = defaultdict(Costs)
    again = 0
    for number in range(max(rounds.values())):
        for tool in (tool for tool, count in rounds.items() if number < count):
            wait_for_rest()
            while not _round(tool, costs[tool]):
                again += 1
                wait_for_rest()
    if again:
        report.say(f"{again} rounds were disturbed by other processes and run again")
    return costs


def wait_for_rest() -> None:
    global patience_s
    while patience_s > 0:
        born = births()
        if busy_percent(1.0) <= MOST_OTHERS_PERCENT and births() - born <= MOST_BIRTHS / 4:
            return
        patience_s -= 1


def _round(tool: str, costs: Costs) -> bool:
    """Adds a value; False when the machine was not at rest."""
    global patience_s
    before = set(bpf.programs())
    with Viewer(COMMANDS[tool]) as viewer:
        pid = viewer.process.pid
        viewer.frames(WARM_UP, 20)
        ours = set(bpf.programs()) - before
        probes = bpf.run_ns(ours)
        born, idle, began, used = births(), idle_s(), time.monotonic(), cpu_ns(pid)
        seen = viewer.frames(REFRESHES, REFRESHES * 3.5)
        took, used = time.monotonic() - began, cpu_ns(pid) - used
        born, others_s = births() - born, took * CPUS - (idle_s() - idle) - used / 1e9
        probes = bpf.run_ns(ours) - probes
        if seen < REFRESHES or viewer.process.poll() is not None:
            raise SystemExit(f"{tool} drew {seen} of {REFRESHES} frames")
        rss, pss = memory_bytes(pid)
    if (born > MOST_BIRTHS or others_s / took * 100 > MOST_OTHERS_PERCENT) and patience_s > 0:
        patience_s -= took
        return False
    costs.percent.append(used / took / 1e7)
    costs.refresh_ms.append(used / 1e6 / seen)
    costs.probe_percent.append(probes / took / 1e7)
    costs.rss.append(rss)
    costs.pss.append(pss)
    return True


def _print(report: Report, costs: dict[str, Costs], count: int) -> None:
    report.say(f"{count} processes:")
    rows = [
        (
            tool,
            f"{median(cost.percent):.2f}",
            spread(cost.percent, "{:.2f}"),
            f"{median(cost.refresh_ms):.1f}",
            f"{median(cost.percent) / median(costs['ebtop'].percent):.1f}",
            f"{median(cost.rss) / 1e6:.1f}",
            f"{median(cost.pss) / 1e6:.1f}",
            f"{median(cost.probe_percent):.3f}" if tool == "ebtop" else "-",
        )
        for tool, cost in costs.items()
    ]
    titles = ("", "CPU %", "spread", "ms/refresh", "x ebtop", "RSS MB", "PSS MB", "in BPF %")
    report.table(titles, rows)
    report.say("")


def versions() -> list[str]:
    """What is compared."""
    found = []
    for command in (["htop", "--version"], ["top", "-V"], ["atop", "-V"]):
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        words = re.findall(r"\d+\.\d+\S*", said.stdout or said.stderr)
        found.append(f"{command[0]} {words[0] if words else '?'}")
    return found
