# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What only some probes know is unknown without them, in every set of the three that account; and
the source is bpf only while the probe sched runs."""

from __future__ import annotations

import errno
import itertools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from observe import start, until_done
from running import doctor, ebtop, said

from ebtop.sources.bpf import variants

ACCOUNTING = ("sched", "life", "tasks")
SETS = [
    probes for count in (1, 2, 3) for probes in itertools.combinations(ACCOUNTING, count)
]  # fmt: skip
JSON = ("--json", "-n", "1", "-d", "0.4")
KNOWN_BY = {
    "oncpu_ns": {"sched", "tasks"},
    "cpu_percent": {"sched", "tasks"},
    "migrations": {"sched", "tasks"},
    "runq_wait_ns": {"sched"},
    "ppid": {"tasks"},
    "uid": {"tasks"},
    "threads": {"tasks"},
    "cgroup": {"tasks"},
    "rss_bytes": {"tasks"},
    "virtual_bytes": {"tasks"},
    "minor_faults": {"tasks"},
}
"""Of a process that lived before ebtop did: which probes know it; each of them does."""
HEADER = {
    "tasks": "tasks",
    "threads": "tasks",
    "started": "life",
    "exited": "life",
    "switches": "sched",
    "run queue": "sched",
}
BOTH = ("offcpu_ns", "wait_ns", "lifetime_ns")
"""Summed over all threads, which only `tasks` lists, of what only `sched` counts."""


@pytest.fixture(scope="module")
def crowd() -> Any:
    """One that spins, and one whose three further threads sleep."""
    spinner, sleeper = start("spin", "600000"), start("threads", "3")
    until_done(sleeper)
    yield spinner, sleeper
    for process in (spinner, sleeper):
        process.kill()
        process.wait()


def facts(pid: int) -> dict[str, Any]:
    """The same from /proc."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
    return {
        "ppid": int(status["PPid"][0]),
        "uid": int(status["Uid"][0]),
        "threads": int(status["Threads"][0]),
        "virtual_bytes": int(status["VmSize"][0]) * 1024,
    }


@pytest.mark.parametrize("probes", SETS, ids=",".join)
def test_every_set_of_probes_tells_what_it_knows_and_nothing_else(
    crowd: Any, probes: tuple[str, ...]
) -> None:
    done = ebtop(*JSON, "--probes", ",".join(probes))
    assert (done.returncode, done.stderr) == (0, b"")
    found, on = json.loads(done.stdout), set(probes)
    assert found["source"] == ("bpf" if "sched" in on else "proc")
    assert ("sched does not run" in (found["self"]["source_reason"] or "")) == ("sched" not in on)
    system = found["system"]
    assert (system["started"] is None) == (system["exited"] is None) == ("life" not in on)
    assert (system["context_switches"] is None) == ("sched" not in on)
    assert (system["processes"] is None) == (system["threads"] is None) == ("tasks" not in on)
    if "tasks" in on:
        total = int(Path("/proc/loadavg").read_text().split()[3].split("/")[1])
        assert system["threads"] == pytest.approx(total, abs=20)
    rows = {row["pid"]: row for row in found["processes"]}
    seen = {process.pid for process in crowd} & set(rows)
    expected = {crowd[0].pid} if "sched" in on else set()
    assert seen >= ({process.pid for process in crowd} if "tasks" in on else expected)
    for pid in seen:
        row = rows[pid]
        assert {name: row[name] is not None for name in KNOWN_BY} == {
            name: bool(by & on) for name, by in KNOWN_BY.items()
        }
        for name in BOTH:
            assert (row[name] is not None) == (on >= {"sched", "tasks"}), name
        for name, value in facts(pid).items():
            assert row[name] in (None, value), name
        assert row["state"] in (None, "R" if pid == crowd[0].pid else "S")


@pytest.mark.parametrize("probes", SETS, ids=",".join)
def test_header_shows_a_dash_for_the_same(probes: tuple[str, ...]) -> None:
    frame = ebtop("--once", "--size", "150x20", "--probes", ",".join(probes)).stdout.decode()
    words = " ".join(frame.split())
    for label, knows in HEADER.items():
        assert (f" {label} - " in f" {words} ") == (knows not in probes), (label, frame)
    assert (" source BPF" in words) == ("sched" in probes)
    assert (" source /proc" in words) == ("sched" not in probes)


def refusing(programs: tuple[str, ...], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    refused = ",".join(f"{name}:{errno.EMFILE}" for name in programs)
    return ebtop(*arguments, env={**os.environ, "LC_ALL": "C.UTF-8", "EBTOP_FAIL": refused})


SCHED = ("wakeup_btf",)


@pytest.mark.parametrize("tasks", [True, False], ids=["tasks-on", "tasks-off"])
def test_without_sched_the_source_is_proc_everywhere_and_the_table_is_not_empty(
    tasks: bool,
) -> None:
    gone = SCHED if tasks else (*SCHED, *_programs_of_tasks())
    done = refusing(gone, *JSON)
    found, reason = json.loads(done.stdout), "the probe sched does not run: "
    assert done.returncode == 0 and found["source"] == "proc"
    assert found["self"]["source_reason"].startswith(reason) and reason in said(done)
    mine = next(row for row in found["processes"] if row["pid"] == os.getpid())
    assert mine["rss_bytes"] > 0 and mine["threads"] >= 1 and mine["oncpu_ns"] is not None
    states = {probe["name"]: probe["state"] for probe in found["probes"]}
    assert states["sched"] == "failed"
    assert (states["tasks"], states["life"]) == (("on", "on") if tasks else ("failed", "off"))
    insisting = refusing(gone, "--source", "bpf", *JSON)
    assert (insisting.returncode, insisting.stdout) == (77, b"")
    assert reason in said(insisting)
    report = json.loads(refusing(gone, "doctor", "--json").stdout)
    assert report["source"] == "proc"
    assert doctor(refusing(gone, "doctor", "--json"))["sched"]["state"] == "failed"
    assert b"\nsource: /proc: " in refusing(gone, "doctor").stdout
    frame = refusing(gone, "--once", "--size", "150x20").stdout.decode()
    assert "source /proc, no" in frame and reason in frame


def test_run_without_sched_says_so_and_knows_its_tree() -> None:
    gone = (*SCHED, *_programs_of_tasks())
    done = refusing(gone, "run", "--json", "--", "sh", "-c", "sleep 0.3; exit 7")
    report = json.loads(done.stdout)
    assert report["source"] == "proc" and "sched does not run" in report["source_reason"]
    assert report["exit_code"] == done.returncode == 7
    assert report["processes"][0]["comm"] == "sh"


def _programs_of_tasks() -> tuple[str, ...]:
    return tuple({program for variant in variants("tasks") for program in variant})
