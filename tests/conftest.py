# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the tiers: which folder of tests needs what, and the account at the end of a run.

A tier that this machine cannot run is skipped with its reason. The faults are for guests only, and
of them those that fit the way the guest was booted. With EBTOP_LIVE=1 the machine is
said to be capable: then a skip in the live tier is a failure, and so is, in a run of everything, a
tier that ran nothing. What the tests check is not decided here.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from results import leave

TESTS = Path(__file__).resolve().parent
BRIEF = "brief"
"""The setting in which tests that are marked as long are left out."""
TIERS = ("unit", "screens", "live", "faults")
FORCED = os.environ.get("EBTOP_LIVE") == "1"
LONGEST_S = 400
"""A test that takes longer hangs: it fails then, and the others go on."""
MOST_OF_A_FAILURE = 6000
"""Characters, from the end, that a guest leaves of each."""
SETTING = os.environ.get("EBTOP_VM_SETTING") if os.environ.get("EBTOP_VM") == "1" else None
"""How this guest was booted, where this is one: a name of the table of settings."""


def tier_of(path: os.PathLike[str] | str) -> str | None:
    """The tier a test file belongs to: the folder below tests/."""
    try:
        tier = Path(path).resolve().relative_to(TESTS).parts[0]
    except (ValueError, IndexError):
        return None
    return tier if tier in TIERS else None


def why_no_live() -> str | None:
    """What keeps the live tier from running here; None when nothing does."""
    if os.geteuid() != 0:
        return "not root"
    if not os.access("/sys/kernel/btf/vmlinux", os.R_OK):
        return "this kernel has no BTF (/sys/kernel/btf/vmlinux)"
    return None


def why_no_faults() -> str | None:
    """What keeps the faults from being made here; None in a guest that was booted for them."""
    return None if SETTING else "only in a guest: they change the whole machine (make test-vm)"


def _of_other_settings(items: list[pytest.Item]) -> list[pytest.Item]:
    """Tests of faults that need this guest to have been booted in another way."""
    marks = [(item, item.get_closest_marker("setting")) for item in items]
    return [item for item, mark in marks if mark and SETTING not in mark.args]


def _too_long(items: list[pytest.Item]) -> list[pytest.Item]:
    """Tests that a guest is spared when its time is short; each is told with its reason."""
    if SETTING != BRIEF:
        return []
    marks = [(item, item.get_closest_marker("long")) for item in items]
    spared = [(item, mark.args[0]) for item, mark in marks if mark]
    for item, why in spared:
        leave("spared", test=item.nodeid, reason=why)
    return [item for item, _ in spared]


class Account:
    """Counts outcomes tier by tier, and keeps the reasons of skips."""

    def __init__(self) -> None:
        self.outcomes = {tier: Counter[str]() for tier in TIERS}
        self.reasons = {tier: Counter[str]() for tier in TIERS}

    def add(self, tier: str, outcome: str, reason: str = "") -> None:
        self.outcomes[tier][outcome] += 1
        if outcome == "skipped":
            self.reasons[tier][reason] += 1

    def ran(self, tier: str) -> int:
        return self.outcomes[tier]["passed"] + self.outcomes[tier]["failed"]

    def line(self, tier: str) -> str:
        counts = self.outcomes[tier]
        words = [f"{counts[word]} {word}" for word in ("passed", "failed", "skipped")
                 if counts[word]]  # fmt: skip
        if counts["rerun"]:
            words.append(f"{counts['rerun']} of them at the second attempt")
        reasons = "; ".join(self.reasons[tier])
        if not words:
            return "nothing ran"
        return ", ".join(words) + (f" ({reasons})" if reasons else "")


_account = pytest.StashKey[Account]()


class Recorder:
    """Takes each outcome as pytest logs it: a first attempt that failed is a "rerun" by then."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.outcome == "passed":
            return
        _tell(report)
        tier = tier_of(self._config.rootpath / report.nodeid.partition("::")[0])
        if tier:
            self._config.stash[_account].add(tier, report.outcome, _reason(report))


def _hear_signals() -> None:
    """Undoes what nohup, or `&` in a script, hands down: ebtop would go on ignoring them."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, usual)


def pytest_configure(config: pytest.Config) -> None:
    _hear_signals()
    config.stash[_account] = Account()
    if config.pluginmanager.hasplugin("timeout") and not config.getvalue("timeout"):
        config.option.timeout = LONGEST_S
    config.pluginmanager.register(Recorder(config))
    config.addinivalue_line("markers", "setting(*names): how a guest must have been booted")
    config.addinivalue_line("markers", "long(why): left out of the guests that `make test` starts")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.name != "test_environment_is_capable")
    if SETTING:
        config.hook.pytest_deselected(
            items=(others := _of_other_settings(items) + _too_long(items))
        )
        items[:] = [item for item in items if item not in others]
    reasons = {"live": None if FORCED else why_no_live(), "faults": why_no_faults()}
    for item in items:
        tier = tier_of(item.path)
        if tier in reasons and config.pluginmanager.hasplugin("rerunfailures"):
            # the machine does other things too: once more, and the account says so
            item.add_marker(pytest.mark.flaky(reruns=1))
        reason = reasons.get(tier or "")
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).replace("Skipped: ", "", 1)
    return str(report.longrepr or "")


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if FORCED and report.skipped and not hasattr(report, "wasxfail"):
        report.longrepr = f"skipped although EBTOP_LIVE=1: {_reason(report)}"
        report.outcome = "failed"


def _tell(report: pytest.TestReport) -> None:
    """One line a test for whoever started this guest."""
    leave(
        "report",
        test=report.nodeid,
        outcome=report.outcome,
        seconds=round(report.duration, 2),
        reason=_reason(report) if report.skipped else "",
    )
    if report.outcome in ("failed", "rerun"):
        leave("failures", test=report.nodeid, text=report.longreprtext[-MOST_OF_A_FAILURE:])


def pytest_runtest_logstart(nodeid: str) -> None:
    leave("began", test=nodeid)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    if tier_of(item.path) == "live":
        _forbid_skip(outcome.get_result())


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    outcome = yield
    report: pytest.CollectReport = outcome.get_result()  # type: ignore[attr-defined]
    tier = tier_of(collector.path) if collector.path.is_file() else None
    if tier == "live":
        _forbid_skip(report)
    if tier and report.outcome != "passed":
        collector.config.stash[_account].add(tier, report.outcome, _reason(report))


def _idle_tiers(config: pytest.Config) -> list[str]:
    """Tiers that should have run here and did not. Only a run of everything can tell."""
    whole = config.args_source is config.ArgsSource.TESTPATHS
    narrowed = config.option.keyword or config.option.markexpr or config.option.collectonly
    if not FORCED or not whole or narrowed:
        return []
    expected = [tier for tier in TIERS if tier != "faults" or SETTING]
    return [tier for tier in expected if not config.stash[_account].ran(tier)]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == 0 and _idle_tiers(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Iterator[None]:
    yield
    # below pytest's own summary, which may be long
    account = config.stash[_account]
    idle = _idle_tiers(config)
    terminalreporter.section("tiers")
    for tier in TIERS:
        wrong = " - but it should have run on this machine" if tier in idle else ""
        terminalreporter.write_line(f"{tier + ':':9}{account.line(tier)}{wrong}")
