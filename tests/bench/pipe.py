# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Measures how much a program that does nothing but switch is slowed by being watched.

`perf bench sched pipe` on one CPU is the worst that there is: four traced events in every few
microseconds. Rounds are interleaved, because machines drift.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Callable

from report import Report, median, spread
from switch import pipe

import bpf
from ebtop.sources.bpf import Session

ROUNDS = 5
LOOPS = 100_000


def _alone(stack: ExitStack) -> None:
    pass


def _ebtop(stack: ExitStack) -> None:
    """What the dashboard begins with, and what the peers do."""
    stack.enter_context(Session(["sched", "life", "tasks"])).refresh()


def _ebtop_with_statistics(stack: ExitStack) -> None:
    stack.enter_context(bpf.statistics())
    _ebtop(stack)


def _ebtop_with_syscalls(stack: ExitStack) -> None:
    """As `-b` and `--json` do: there are as many system calls as switches here."""
    stack.enter_context(Session(["sched", "life", "tasks", "syscall"])).refresh()


def _peers(stack: ExitStack) -> None:
    stack.enter_context(bpf.peers())


VARIANTS: dict[str, Callable[[ExitStack], None]] = {
    "unwatched": _alone,
    "ebtop": _ebtop,
    "ebtop, BPF statistics on": _ebtop_with_statistics,
    "ebtop, system calls too": _ebtop_with_syscalls,
    "cpudist + runqlat": _peers,
}


def run(report: Report) -> None:
    report.heading(f"perf bench sched pipe, slowed by: {ROUNDS} rounds of {LOOPS}, one CPU")
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(ROUNDS):
        for name, watch in VARIANTS.items():
            with ExitStack() as stack:
                watch(stack)
                times[name].append(pipe(LOOPS))
    alone = median(times["unwatched"])
    rows = [
        (
            name,
            f"{median(values):.2f}",
            spread(values, "{:.2f}"),
            f"{(median(values) / alone - 1) * 100:+.1f} %",
            f"{(median(values) - alone) * 1000 / 4:+.0f}",
        )
        for name, values in times.items()
    ]
    report.table(("", "us/round trip", "spread", "slower", "ns/event"), rows)
