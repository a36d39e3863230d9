# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Measures what a context switch costs in BPF, ebtop beside cpudist and runqlat, at the same time.

All see the same switches of the same `perf bench sched pipe` in the same cache, so their ratio
holds where the machine is noisy. The times are the kernel's own (run_time_ns / run_cnt).
"""

from __future__ import annotations

import subprocess
from collections import defaultdict

from report import Report, median, spread

import bpf
from ebtop.sources.bpf import Session

REPEATS = 7
LOOPS = 100_000
PROCESSES = 400

Times = dict[str, list[float]]


def run(report: Report) -> None:
    report.heading(f"Time per event in BPF: perf bench sched pipe, {REPEATS} repeats, ns")
    with bpf.statistics(), bpf.peers() as owners:
        before = set(bpf.programs())
        with Session() as session:
            session.refresh()
            owners = {"ebtop": set(bpf.programs()) - before, **owners}
            times: dict[str, Times] = {owner: defaultdict(list) for owner in owners}
            for _ in range(REPEATS):
                count(owners, times, lambda: pipe(LOOPS))
            session.refresh()
            others: Times = defaultdict(list)
            count({"ebtop": owners["ebtop"]}, {"ebtop": others}, lambda: _live(session))
    switch = {owner: of_switch(found) for owner, found in times.items()}
    rows = [
        (owner, name, f"{median(values):.0f}", spread(values, "{:.0f}"), _share(owner, name))
        for owner, found in times.items()
        for name, values in sorted(found.items())
        if len(values) == REPEATS
    ]
    rows += [
        ("ebtop", name, f"{median(values):.0f}", "", _other(name))
        for name, values in sorted(others.items())
        if len(times["ebtop"].get(name, ())) < REPEATS
    ]
    report.table(("", "program", "ns", "spread", "on sched_switch"), rows)
    peers = sum(median(switch[owner]) for owner in bpf.PEERS)
    report.say(
        "\nThe statistics themselves are in these times, one reading of the clock in each, for all"
        "\nalike; section `pipe` shows what they cost where they are on."
    )
    report.goal("sched_switch: ebtop / (cpudist + runqlat)", median(switch["ebtop"]) / peers, 0.35)


def pipe(loops: int) -> float:
    """Microseconds a round trip, both ends on one CPU: two switches and two wakeups each."""
    command = ["taskset", "-c", "1", "perf", "bench", "-f", "simple", "sched", "pipe", "-l"]
    said = subprocess.run([*command, str(loops)], capture_output=True, check=True, text=True)
    return float(said.stdout.split()[-1]) * 1e6 / loops


def _live(session: Session) -> None:
    """Births, execs and deaths, and passes over all tasks."""
    for _ in range(PROCESSES):
        subprocess.run(["/bin/true"], check=True)
    session.refresh()


def count(owners: dict[str, set[int]], times: dict[str, Times], load: object) -> None:
    """Adds one value for every program that ran under the load."""
    before = bpf.programs()
    load()  # type: ignore[operator]
    after = bpf.programs()
    for owner, ids in owners.items():
        for number in ids & set(after):
            runs = after[number].get("run_cnt", 0) - before[number].get("run_cnt", 0)
            took = after[number].get("run_time_ns", 0) - before[number].get("run_time_ns", 0)
            if runs:
                times[owner][after[number]["name"]].append(took / runs)


def of_switch(times: Times) -> list[float]:
    """A peer may have more than one program on the hook: their sum."""
    found = [values for name, values in times.items() if "switch" in name]
    return [sum(parts) for parts in zip(*found)]


def _share(owner: str, name: str) -> str:
    return "yes" if "switch" in name else ""


def _other(name: str) -> str:
    return "a task" if "task" in name else ""
