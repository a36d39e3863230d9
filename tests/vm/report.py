# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what the runs in guests amount to: the table, and the lines that say what failed.

A guest's pytest leaves one JSON line a test in `report.jsonl` (tests/conftest.py writes it).
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from kernels import Kernel
from machine import Outcome
from settings import Setting


@dataclass(frozen=True)
class Run:
    """One guest: which kernel, booted how, and what came of it."""

    kernel: Kernel
    version: str
    setting: Setting
    outcome: Outcome
    results: Path
    lost_before: str | None = None
    """Why the first attempt was lost, where this is the second."""

    @property
    def name(self) -> str:
        return f"{self.kernel.name} {self.setting.name}"


def lines(results: Path, name: str) -> list[dict[str, object]]:
    """The whole JSON lines of a file that a guest wrote; a torn last one is passed over."""
    try:
        text = (results / name).read_text("utf-8", "replace")
    except OSError:
        return []
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


def counts(run: Run) -> Counter[str]:
    return Counter(str(test["outcome"]) for test in lines(run.results, "report.jsonl"))


def reasons(run: Run) -> Counter[str]:
    """Why tests were skipped."""
    tests = lines(run.results, "report.jsonl")
    return Counter(str(test["reason"]) for test in tests if test["outcome"] == "skipped")


def failures(run: Run) -> list[str]:
    tests = lines(run.results, "report.jsonl")
    return [str(test["test"]) for test in tests if test["outcome"] == "failed"]


def line(run: Run) -> str:
    found = counts(run)
    words = f"{found['passed']} passed, {found['failed']} failed, {found['skipped']} skipped"
    if run.outcome.lost is not None:
        words = f"LOST: {run.outcome.lost}"
    return f"{run.kernel.name:<7} {run.version:<30} {run.setting.name:<16} {words}" \
        f", {run.outcome.seconds:.0f} s"  # fmt: skip


def table(runs: list[Run]) -> str:
    out = []
    for run in runs:
        out.append(line(run))
        out += [f"        {count} skipped: {why}" for why, count in reasons(run).items()]
        if run.lost_before:
            out.append(f"        the first attempt was lost: {run.lost_before}")
    return "\n".join(out)


def verdict(runs: list[Run]) -> list[str]:
    """What is wrong, a line each; empty when all is well."""
    wrong = []
    for run in runs:
        outcome, found = run.outcome, counts(run)
        if outcome.lost is not None:
            wrong.append(f"{run.name}: the guest was lost: {outcome.lost}")
            continue
        wrong += [f"{run.name}: FAILED {test}" for test in failures(run)]
        wrong += [f"{run.name}: its kernel complained: {text}" for text in outcome.complaints]
        if not found["passed"]:
            wrong.append(f"{run.name}: no test ran (status {outcome.status})")
        elif outcome.status and not found["failed"]:
            wrong.append(f"{run.name}: pytest ended with status {outcome.status}")
    return wrong


def finish(runs: list[Run], whole: bool) -> None:
    """After a run in which all went well; `whole` when it was over all kernels."""
