# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sequence of `ebtop selftest`, from forking the worker to the report.

Each piece of work is measured in an interval of its own. If only times are off, the work is
repeated, for the machine may be busy; counts must be right.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from itertools import groupby
from typing import Any, Optional

from ebtop import __version__, units
from ebtop.commands.selftest.checks import Check, Seen, checks, result_of
from ebtop.commands.selftest.worker import Worker
from ebtop.control.choose import Source, note, open_source
from ebtop.errors import EXIT_FAILED, EbtopError, Unsupported
from ebtop.options.options import Options
from ebtop.probes import CHOOSABLE
from ebtop.runtime import privilege
from ebtop.runtime.signals import Signals
from ebtop.runtime.stdio import say, write_all
from ebtop.sources.bpf import Session
from ebtop.sources.host import in_own_pid_namespace, read_small
from ebtop.sources.procparse import parse_schedstat, parse_stat, parse_status

_TRIES = 3
_PAUSE_S = 0.05
_FORM = "{:<28} {:>14} {:>14} {:>10}  {:<7}  {}"

Line = dict[str, Any]


def run(options: Options, signals: Signals) -> int:
    """Exit status 1 when a figure missed the truth, or none could be compared."""
    with Worker(options.directory or "/var/tmp") as worker:
        asked = options.source
        # the kernel knows our processes by other pids
        if asked != "proc" and in_own_pid_namespace():
            if asked == "bpf":
                raise Unsupported("in a pid namespace the kernel's own pids are not known")
            asked = "proc"
        chosen = Options(
            command="selftest", probes=CHOOSABLE, source=asked, debug=options.debug,
            pids=(worker.pid,), descendants=asked != "proc",
        )  # fmt: skip
        with signals.at_once(lambda number: 128 + number):
            opened = open_source(chosen)
        with opened as source:
            about = note(source)
            source.refresh()
            kept = privilege.drop(isinstance(source, Session))
            for line in filter(None, (about, kept)):
                say(line)
            lines = list(_all(source, worker, signals))
    report = _report(lines)
    if options.json:
        write_all((json.dumps(report) + "\n").encode("ascii"))
    else:
        write_all(_text(report).encode("ascii", "replace"))
    return EXIT_FAILED if report["missed"] or not report["passed"] else 0


def _all(source: Source, worker: Worker, signals: Signals) -> Iterator[Line]:
    """A line a check, in their order, each as soon as its work is done."""
    for work, of_work in groupby(checks(), lambda check: check.work):
        yield from _tried(source, worker, work, list(of_work), signals)
        if signals.stop_requested:
            worker.kill()
            return


def _tried(
    source: Source, worker: Worker, work: str, of_work: list[Check], signals: Signals
) -> list[Line]:
    lines: list[Line] = []
    for number in range(1, _TRIES + 1):
        try:
            # the first run absorbs one-time effects: memory that is kept, files that are read
            _done(source, worker, work, signals)
            seen = _done(source, worker, work, signals)
        except EbtopError as error:
            return [_not_done(check, str(error)) for check in of_work]
        lines = [{**result_of(check, seen), "tries": number} for check in of_work]
        missed = [line["result"] == "MISS" for line in lines]
        if not any(missed) or any(m and not c.is_time for m, c in zip(missed, of_work)):
            break
    return lines


def _done(source: Source, worker: Worker, work: str, signals: Signals) -> Seen:
    """Does the work in an interval of its own."""

    def meanwhile() -> None:
        if signals.stop_requested:
            raise EbtopError("the end was asked for")
        source.poll()

    time.sleep(_PAUSE_S)
    source.refresh()
    before = _account(worker.pid)
    worker.begin(work)
    facts = worker.facts(meanwhile)
    after = _account(worker.pid)
    snapshot = source.refresh()
    states = ("rss_bytes",)
    grown = {name: after[name] - (0 if name in states else before[name])
             for name in after if name in before}  # fmt: skip
    return Seen(facts, grown, snapshot, worker.pid)


def _account(pid: int) -> dict[str, int]:
    """The kernel's account of the process; unknown values are missing."""
    folder = f"/proc/{pid}"
    said: dict[str, Optional[int]] = {}
    sched = parse_schedstat(read_small(f"{folder}/schedstat"))
    if sched is not None:
        said["oncpu_ns"], said["runq_ns"] = sched[:2]
    stat = parse_stat(read_small(f"{folder}/stat"))
    if stat is not None:
        said["minor_faults"] = stat.minor_faults
    text = read_small(f"{folder}/status")
    status = parse_status(text)
    said["voluntary_switches"] = status.voluntary_switches
    said["involuntary_switches"] = status.involuntary_switches
    words = (text or b"").split()
    if b"VmRSS:" in words:  # exact, where the fields of `stat` lag behind
        said["rss_bytes"] = int(words[words.index(b"VmRSS:") + 1]) * 1024
    return {name: value for name, value in said.items() if value is not None}


def _not_done(check: Check, reason: str) -> Line:
    return {
        "metric": check.metric, "truth": None, "oracle": check.oracle, "value": None,
        "error": None, "allowed": None, "result": "UNKNOWN", "reason": reason,
        "note": check.note or None, "tries": 1,
    }  # fmt: skip


def _report(lines: list[Line]) -> dict[str, Any]:
    results = [line["result"] for line in lines]
    system = os.uname()
    return {
        "schema": 1, "type": "selftest", "version": __version__, "kernel": system.release,
        "architecture": system.machine, "passed": results.count("PASS"),
        "missed": results.count("MISS"), "unknown": results.count("UNKNOWN"), "checks": lines,
    }  # fmt: skip


# ---- for people ----


def _text(report: dict[str, Any]) -> str:
    lines = [_FORM.format("METRIC", "TRUTH", "EBTOP", "ERROR", "RESULT", "TRUTH IS FROM").rstrip()]
    lines += [_line(line) for line in report["checks"]]
    lines.append(f"{report['passed']} passed, {report['missed']} missed,"
                 f" {report['unknown']} unknown, on {report['kernel']}")  # fmt: skip
    return "\n".join(lines) + "\n"


def _line(line: Line) -> str:
    write = _writer(line["metric"])
    truth, value, error = (line[name] for name in ("truth", "value", "error"))
    shown = units.UNKNOWN if error is None else _error(error, truth)
    about = line["reason"] or line["oracle"]
    if line["note"] and line["error"]:
        about += f" ({line['note']})"
    result = line["result"] if line["tries"] == 1 else f"{line['result']} at try {line['tries']}"
    return _FORM.format(line["metric"], write(truth), write(value), shown, result, about)


def _writer(metric: str) -> Any:
    """Times are in milliseconds, all else as it is."""
    is_time = "_ns" in metric

    def write(value: Optional[float]) -> str:
        if value is None:
            return units.UNKNOWN
        return f"{value / 1e6:.3f}ms" if is_time else f"{value:.10g}"

    return write


def _error(error: float, truth: float) -> str:
    if not error:
        return "0"
    return f"{100 * error / truth:+.3f}%" if truth else f"{error:+g}"
