# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Measures what a system call costs when it is watched: ebtop beside syscount, and strace.

First the time in BPF, while both see the same calls of the same `perf bench syscall basic`; then
how much that is slowed by one at a time. It does not measure events of opens; that is `opens.py`.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Callable

import dashboard
from machine import CPUS, idle_s
from report import Report, median, ratio, spread
from switch import Times, count

import bpf
from ebtop.sources.bpf import Session

REPEATS = 7
ROUNDS = 5
LOOPS = 2_000_000
STRACED_LOOPS = 20_000
SYSCOUNT = "syscount -L -P"
STRACE = "strace -c -f"


@dataclass(frozen=True)
class Watch:
    """How the loop is watched: by what is begun before it, or by what runs it."""

    begin: Callable[[ExitStack], object] = lambda stack: None
    tracer: tuple[str, ...] = ()
    loops: int = LOOPS


WATCHES = {
    "unwatched": Watch(),
    "ebtop": Watch(lambda stack: stack.enter_context(Session()).refresh()),
    SYSCOUNT: Watch(lambda stack: stack.enter_context(bpf.peer(_syscount()))),
    STRACE: Watch(tracer=(*STRACE.split(), "-o", os.devnull), loops=STRACED_LOOPS),
}


def run(report: Report) -> None:
    _in_bpf(report)
    _slowdown(report)


def basic(loops: int, tracer: tuple[str, ...] = ()) -> float:
    """Nanoseconds a system call of a loop of getppid; starting and ending are not in it."""
    bench = ["perf", "bench", "-f", "simple", "syscall", "basic", "-l", str(loops)]
    command = ["taskset", "-c", "1", *tracer, *bench]
    said = subprocess.run(command, capture_output=True, check=True, text=True)
    return float(said.stdout.split()[-1]) * 1e9 / loops


def _syscount() -> list[str]:
    return bpf.with_tracefs(SYSCOUNT.split())


def _in_bpf(report: Report) -> None:
    report.heading(f"Time per system call in BPF: perf bench syscall basic, {REPEATS} repeats, ns")
    times: dict[str, Times] = {"ebtop": defaultdict(list), SYSCOUNT: defaultdict(list)}
    with bpf.statistics(), bpf.peer(_syscount()) as theirs:
        before = set(bpf.programs())
        with Session() as session:
            session.refresh()
            owners = {"ebtop": set(bpf.programs()) - before, SYSCOUNT: theirs}
            names = {p.name for p in session.programs() if p.probe == "syscall"}
            if not names:
                raise SystemExit("the probe of system calls does not run here: see ebtop doctor")
            for _ in range(REPEATS):
                count(owners, times, lambda: basic(LOOPS))
    times["ebtop"] = {name: times["ebtop"][name] for name in names}
    rows = [
        (owner, name, f"{median(values):.0f}", spread(values, "{:.0f}"))
        for owner, found in times.items()
        for name, values in sorted(found.items())
    ]
    report.table(("", "program", "ns", "spread"), rows)
    ours, peers = (median(map(sum, zip(*times[owner].values()))) for owner in times)
    report.goal(f"BPF per system call: ebtop / {SYSCOUNT}", ratio(ours, peers), 0.6)


def _slowdown(report: Report) -> None:
    report.heading(f"perf bench syscall basic, slowed by: {ROUNDS} rounds of {LOOPS}, one CPU")
    rounds: list[dict[str, float]] = []
    again = 0
    while len(rounds) < ROUNDS:
        dashboard.wait_for_rest()
        values, others_percent, took = _round()
        if others_percent > dashboard.MOST_OTHERS_PERCENT and dashboard.patience_s > 0:
            dashboard.patience_s -= took
            again += 1
            continue
        rounds.append(values)
    if again:
        report.say(f"{again} rounds were disturbed by other processes and run again")
    rows = []
    for name in WATCHES:
        values_ns = [values[name] for values in rounds]
        more = median(slowed(rounds, name))
        rows.append((name, f"{median(values_ns):.0f}", spread(values_ns, "{:.0f}"), f"{more:+.0f}"))
    report.table(("", "ns/call", "spread", "slower by ns"), rows)
    for peer, most in ((SYSCOUNT, 0.6), (STRACE, 0.01)):
        pairs = zip(slowed(rounds, "ebtop"), slowed(rounds, peer))
        report.goal(
            f"slowdown of a system call: ebtop / {peer}",
            median(ratio(ours, theirs) for ours, theirs in pairs),
            most,
        )


def _round() -> tuple[dict[str, float], float, float]:
    """ns a call by watch; the CPU that others used, in percent of one; and the seconds it took."""
    began, idle, used = time.monotonic(), idle_s(), sum(os.times()[:4])
    values = {}
    for name, watch in WATCHES.items():
        with ExitStack() as stack:
            watch.begin(stack)
            values[name] = basic(watch.loops, watch.tracer)
    took = time.monotonic() - began
    others_s = took * CPUS - (idle_s() - idle) - (sum(os.times()[:4]) - used)
    return values, others_s / took * 100, took


def slowed(rounds: list[dict[str, float]], name: str) -> list[float]:
    """By how many ns, a value a round: each against the same round's loop unwatched."""
    return [values[name] - values["unwatched"] for values in rounds]
