# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What `ebtop selftest` makes of truths and values; the work itself is tried in tests/live."""

from __future__ import annotations

import dataclasses
import json
import os

import pytest
import synthetic

from ebtop.commands.selftest import command
from ebtop.commands.selftest.checks import Check, Seen, checks, constant, own, result_of
from ebtop.commands.selftest.work import works
from ebtop.commands.selftest.worker import Worker
from ebtop.errors import EbtopError
from ebtop.model.waitreasons import REASONS
from ebtop.options.options import Options
from ebtop.probes import SYSCALL
from ebtop.runtime.signals import Signals


def _check(truth: float, share: float = 0.0, least: float = 0.0, metric: str = "calls") -> Check:
    value = own("syscalls")
    return Check(metric, "work", SYSCALL, "counted", constant(truth), value, share, least)


def _seen(known: int = synthetic.ALL_KNOWN, calls: int = 100) -> Seen:
    row = synthetic.running(7, b"worker", 5, known=known, syscalls=calls)
    snapshot = dataclasses.replace(synthetic.office(), processes=synthetic.table([row]))
    return Seen({}, {}, snapshot, 7)


@pytest.mark.parametrize(
    ("check", "result"),
    [
        (_check(100), "PASS"),
        (_check(101), "MISS"),
        (_check(101, share=0.01), "PASS"),
        (_check(102, share=0.01), "MISS"),
        (_check(105, least=5), "PASS"),
        (_check(106, least=5), "MISS"),
    ],
)
def test_a_figure_passes_within_what_is_allowed(check: Check, result: str) -> None:
    line = result_of(check, _seen())
    assert line["result"] == result
    assert line["error"] == 100 - line["truth"]


def test_an_unknown_value_is_neither_right_nor_wrong() -> None:
    line = result_of(_check(100), _seen(known=0))
    assert (line["result"], line["value"], line["error"]) == ("UNKNOWN", None, None)
    assert line["reason"]


def test_a_process_that_is_not_there_has_no_value() -> None:
    seen = dataclasses.replace(_seen(), pid=8)
    assert result_of(_check(100), seen)["result"] == "UNKNOWN"


def test_every_check_has_its_work() -> None:
    known = works("/tmp")
    reasons = {f"wait_{reason}" for reason in REASONS}
    missing = {work for work in known if work.startswith("wait_") and work not in reasons}
    assert {check.work for check in checks()} == set(known) - missing
    assert len({check.metric for check in checks()}) == len(list(checks()))


def _tries(monkeypatch: pytest.MonkeyPatch, check: Check, calls: list[int]) -> tuple[str, int]:
    answers = iter(calls)
    monkeypatch.setattr(command, "_done", lambda *_: _seen(calls=next(answers)))
    line = command._tried(None, None, "work", [check], None)[0]  # type: ignore[arg-type]
    return line["result"], line["tries"]


def test_a_wrong_count_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _tries(monkeypatch, _check(100), [99, 99, 100, 100]) == ("MISS", 1)


def test_a_wrong_time_is_tried_again_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = _check(100, least=1, metric="wait_ns, sleep")
    assert _tries(monkeypatch, timed, [90, 90, 90, 90, 100, 100]) == ("PASS", 3)
    assert _tries(monkeypatch, timed, [90] * 6) == ("MISS", 3)


def test_work_that_cannot_be_done_here_is_unknown_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: object) -> Seen:
        raise EbtopError("Invalid argument")

    monkeypatch.setattr(command, "_done", refused)
    line = command._tried(None, None, "disk", [_check(1)], None)[0]  # type: ignore[arg-type]
    assert (line["result"], line["reason"]) == ("UNKNOWN", "Invalid argument")


@pytest.mark.parametrize(
    ("results", "status"), [(["PASS"], 0), (["PASS", "MISS"], 1), (["UNKNOWN"], 1), ([], 1)]
)
def test_a_miss_or_nothing_compared_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, results: list[str], status: int
) -> None:
    lines = [{**result_of(_check(100), _seen()), "result": r, "tries": 1} for r in results]
    written: list[bytes] = []
    monkeypatch.setattr(command, "_all", lambda *_: iter(lines))
    monkeypatch.setattr(command, "write_all", written.append)
    monkeypatch.setattr(command.privilege, "drop", lambda *_: None)
    options = Options(command="selftest", json=True, source="proc", directory="/tmp")
    with Signals() as signals:
        assert command.run(options, signals) == status
    report = json.loads(written[0])
    assert (report["passed"], report["missed"]) == (results.count("PASS"), results.count("MISS"))


def test_the_worker_tells_what_it_did_and_ends_with_its_pipe() -> None:
    with Worker("/tmp") as worker:
        worker.begin("opens")
        facts = worker.facts(lambda: None)
        assert facts["work_ns"] > 0
        os.kill(worker.pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)


def test_the_worker_holds_no_descriptor_of_its_maker() -> None:
    reader, writer = os.pipe()
    try:
        with Worker("/tmp") as worker:
            worker.begin("opens")
            worker.facts(lambda: None)
            held = {os.readlink(f"/proc/{worker.pid}/fd/{fd}") for fd in (0, 1, 2)}
        assert held == {os.devnull}
    finally:
        os.close(reader)
        os.close(writer)
