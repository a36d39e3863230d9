# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the tiers: which tests can run on this machine, and the summary that says so at the end.

A test's tier is its folder. The live tier needs root and a kernel with BTF; with EBTOP_LIVE=1 a
live test that is skipped is a failure, so that a machine that should run it cannot pass in silence.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
TIERS = ("unit", "screens", "live")
MUST_RUN_LIVE = os.environ.get("EBTOP_LIVE") == "1"

_outcomes: dict[str, Counter[str]] = {tier: Counter() for tier in TIERS}
_reasons: dict[str, Counter[str]] = {tier: Counter() for tier in TIERS}


def tier_of(path: object) -> str:
    """The first folder below tests/."""
    try:
        return Path(str(path)).resolve().relative_to(TESTS).parts[0]
    except ValueError:
        return ""


def why_not_live() -> str | None:
    """Why the live tier cannot run here, or None when it can."""
    if os.geteuid() != 0:
        return "not root"
    if not os.access("/sys/kernel/btf/vmlinux", os.R_OK):
        return "this kernel has no BTF (/sys/kernel/btf/vmlinux)"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = why_not_live()
    if reason is None or MUST_RUN_LIVE:
        return
    for item in items:
        if tier_of(item.path) == "live":
            item.add_marker(pytest.mark.skip(reason=f"live tier: {reason}"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):  # type: ignore[no-untyped-def]
    outcome = yield
    report = outcome.get_result()
    if MUST_RUN_LIVE and report.skipped and tier_of(item.path) == "live":
        report.outcome = "failed"
        report.longrepr = f"skipped with EBTOP_LIVE=1: {report.longrepr}"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    tier = tier_of(TESTS.parent / report.nodeid.split("::")[0])
    if tier not in _outcomes or (report.when != "call" and report.outcome == "passed"):
        return
    _outcomes[tier][report.outcome] += 1
    if report.skipped and isinstance(report.longrepr, tuple):
        _reasons[tier][report.longrepr[2].removeprefix("Skipped: ")] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("tiers")
    for tier in TIERS:
        counts = _outcomes[tier]
        words = ", ".join(f"{counts[o]} {o}" for o in ("passed", "failed", "skipped") if counts[o])
        terminalreporter.write_line(f"{tier:8} {words or 'not run'}")
        for reason, count in _reasons[tier].most_common():
            terminalreporter.write_line(f"{'':8}   {count} skipped: {reason}")
