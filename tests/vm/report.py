# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what the runs in guests amount to: the table, and the lines that say what failed.

A guest's pytest leaves one JSON line a test in `report.jsonl` (tests/conftest.py writes it).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import programs
from kernels import Kernel
from machine import Outcome
from programs import Proofs
from settings import Setting

MOST_LAST_WORDS = 60
CONTROL = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|.)|[\x00-\x08\x0b-\x1f\x7f]")


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

    @property
    def label(self) -> str:
        """The kernel's version in two numbers, whatever the list calls it."""
        found = re.match(r"\d+\.\d+", self.version)
        return found.group() if found else self.kernel.name


def lines(results: Path, name: str) -> list[dict[str, object]]:
    """The whole JSON lines of a file that a guest wrote; a torn last one is passed over."""
    try:
        text = (results / name).read_text("utf-8", "replace")
    except OSError:
        return []
    whole, _, _ = text.rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def proofs(runs: list[Run]) -> Proofs:
    """Which programs were proven where."""
    return programs.proofs((run.label, lines(run.results, "programs.jsonl")) for run in runs)


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
    if found["rerun"]:
        words += f", {found['rerun']} at the second attempt"
    if run.outcome.lost is not None:
        words = f"LOST: {run.outcome.lost}"
    return f"{run.kernel.name:<7} {run.version:<30} {run.setting.name:<16} {words}" \
        f", {run.outcome.seconds:.0f} s"  # fmt: skip


def table(runs: list[Run]) -> str:
    out = []
    for run in runs:
        out.append(line(run))
        out += [f"        {count} skipped: {why}" for why, count in reasons(run).items()]
        spared = Counter(str(line["reason"]) for line in lines(run.results, "spared.jsonl"))
        out += [f"        {count} left out: {why}" for why, count in spared.items()]
        if run.lost_before:
            out.append(f"        the first attempt was lost: {run.lost_before}")
    return "\n".join(out)


def columns(cells: list[str]) -> str:
    """One line of the table of programs."""
    name, hook, *rest = cells
    return f"{name:<28}{hook:<34}" + "".join(f"{cell:>9}" for cell in rest)


def verdict(runs: list[Run]) -> list[str]:
    """What is wrong, a line each; empty when all is well."""
    return [f"{run.name}: {text}" for run in runs for text in _wrong(run)]


def _wrong(run: Run) -> Iterator[str]:
    outcome, found = run.outcome, counts(run)
    if outcome.lost is not None:
        twice = ", twice" if run.lost_before else ""
        where = "".join(f" in {line['test']}" for line in lines(run.results, "began.jsonl")[-1:])
        yield f"the guest was lost{twice}{where}: {outcome.lost} (see {run.results / 'serial'})"
    for test in failures(run):
        yield f"FAILED {test}"
    if outcome.lost is not None:
        return
    for text in outcome.complaints:
        yield f"its kernel complained: {text}"
    killed = f": {outcome.killed}" if outcome.killed else ""
    if not found["passed"]:
        yield f"no test passed (status {outcome.status}){killed}"
    elif outcome.status and (killed or not found["failed"]):
        yield f"the tests ended with status {outcome.status}{killed}"


def last_words(run: Run) -> list[str]:
    """The end of what a guest said in which something is wrong. Of one that was lost also why tests
    failed: pytest would have told at its end."""
    name = "output" if run.outcome.lost is None else "serial"
    try:
        text = (run.results / name).read_text("utf-8", "replace")
    except OSError:
        return []
    words = text.splitlines()[-MOST_LAST_WORDS:]
    if run.outcome.lost is not None:
        failed = lines(run.results, "failures.jsonl")
        words = [word for line in failed for word in str(line["text"]).splitlines()] + words
    # a serial line begins with the firmware clearing the terminal
    return [CONTROL.sub("", word) for word in words]
