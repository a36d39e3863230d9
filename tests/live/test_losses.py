# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What cannot be counted is counted as lost; what is asked for alone works alone; nothing stays."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from observe import is_paused, named, opened, row_of, start, until_done, value, watch, workload

from ebtop.layout import EXITED
from ebtop.session import PROBES, Session

NAMES = {"switch_btf", "wakeup_btf", "wakeup_new_btf", "fork_btf", "exec_args_btf", "exec_btf",
         "exit_btf", "tasks_iter", "tasks_bare_iter"}  # fmt: skip
BPFTOOL = shutil.which("bpftool", path="/usr/sbin:/sbin:/usr/bin:/bin")
ERRNOS = ("EPERM", "EACCES", "EINVAL", "ENOENT", "ENOMEM", "ESRCH", "E2BIG")


def our_programs() -> set[int]:
    """Ids of loaded programs that are named as ebtop's; other sessions may have some too."""
    assert BPFTOOL, "bpftool is not installed"
    programs = json.loads(subprocess.check_output([BPFTOOL, "-j", "prog", "show"]))
    return {program["id"] for program in programs if program.get("name") in NAMES}


def test_produced_is_delivered_plus_lost_when_nobody_reads() -> None:
    with opened(["life"]) as session:
        subprocess.run([workload("spawn"), "4001", workload("act"), "exit", "0"], check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        snapshot = session.refresh()
        after = session.refresh()
    system = snapshot.system
    assert system.started is not None and system.execs is not None and system.exited is not None
    delivered = system.started + system.execs + system.exited
    lost = snapshot.self_cost.lost["ring_buffer"]
    made = 3 * (4001 + 1)
    # something else on the machine may start a process too; nothing may be missing
    assert made <= delivered + lost <= made + 300
    assert lost > 0
    assert after.self_cost.lost["ring_buffer"] == 0


def test_fork_storm_is_counted_whole() -> None:
    with opened() as session:
        process = start("forks", "20011")
        children: set[tuple[int, int]] = set()
        ended = False
        while not ended:
            watch(session, 0.5)
            assert process.stdout is not None
            snapshot = session.refresh()
            children |= {
                (row["pid"], row["start_ns"])
                for row in named(snapshot, b"act")
                if row["flags"] & EXITED and row["ppid"] == process.pid
            }
            ended = is_paused(process.pid)
        lost = session.refresh().self_cost.lost_total
        process.kill()
        process.wait()
    assert len(children) + lost["ring_buffer"] + lost["thread_slots"] >= 20011
    assert len(children) <= 20011


def test_without_free_slots_threads_are_counted_lost_and_values_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EBTOP_THREADS_MAX", "64")
    with opened() as session:
        processes = [start("wait", "0") for _ in range(211)]
        time.sleep(0.1)
        snapshot = session.refresh()
        assert snapshot.self_cost.lost["thread_slots"] > 0
        rows = [row_of(snapshot, process.pid) for process in processes]
        unknown = [row for row in rows if value(row, "runq_wait_ns") is None]
        assert len(unknown) >= 100
        for process in processes:
            process.kill()
            process.wait()
        watch(session, 0.3)
        session.refresh()
        # the slots of the dead came back: a newcomer is accounted again
        process = start("sleeps", "11")
        until_done(process)
        row = row_of(session.refresh(), process.pid)
        process.kill()
        process.wait()
    assert value(row, "runq_wait_ns") is not None


@pytest.mark.parametrize("probe", PROBES)
def test_probe_alone_says_what_it_knows_and_no_more(probe: str) -> None:
    process = start("sleeps", "100000")
    try:
        with opened([probe]) as session:
            watch(session, 0.2)
            session.refresh()
            watch(session, 0.2)
            subprocess.run([workload("act"), "exit", "0"], check=True)
            snapshot = session.refresh()
            states = {status.name: status.state for status in snapshot.probes}
            rows = {row["pid"]: row for row in snapshot.processes.rows()}
    finally:
        process.kill()
        process.wait()
    assert states == {name: "on" if name == probe else "off" for name in PROBES}
    assert (snapshot.system.started is not None) == (probe == "life")
    assert (snapshot.system.context_switches is not None) == (probe == "sched")
    if probe == "life":
        return
    row = rows[process.pid]
    assert value(row, "oncpu_ns") > 0
    assert (value(row, "runq_wait_ns") is not None) == (probe == "sched")
    assert (value(row, "rss_bytes") is not None) == (probe == "tasks")
    assert (value(row, "ppid") is not None) == (probe == "tasks")


@pytest.mark.parametrize("code", ERRNOS)
@pytest.mark.parametrize("program", sorted(NAMES - {"exec_btf", "tasks_bare_iter"}))
def test_refused_program_takes_only_its_own_probe(
    program: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBTOP_FAIL", f"{program}:{getattr(errno, code)}")
    with opened() as session:
        snapshot = session.refresh()
    broken = {"exec_args_btf": None, "tasks_iter": None}.get(program, _probe_of(program))
    for status in snapshot.probes:
        if status.name != broken:
            assert (status.state, status.reason) == ("on", None)
            continue
        denied, missing = ("EPERM", "EACCES"), ("ENOENT", "ESRCH")
        expected = "denied" if code in denied else "unsupported" if code in missing else "failed"
        assert status.state == expected
        assert status.reason
        assert status.runs is None


def _probe_of(program: str) -> str:
    if program.startswith(("switch", "wakeup")):
        return "sched"
    return "life"


def test_statistics_are_held_on_only_while_cost_is_wanted() -> None:
    with opened() as session:
        assert session.refresh().self_cost.probe_ns is None
        session.refresh(cost=True)
        time.sleep(0.05)
        cost = session.refresh(cost=True)
        assert cost.self_cost.probe_ns is not None and cost.self_cost.probe_ns > 0
        session.refresh()
        time.sleep(0.05)
        assert session.refresh().self_cost.probe_ns is None


def test_two_sessions_agree() -> None:
    process = start("sleeps", "100000")
    with opened() as one, opened() as two:
        watch(one, 0.5)
        one.refresh(), two.refresh()
        watch(one, 1.0)
        first, second = row_of(one.refresh(), process.pid), row_of(two.refresh(), process.pid)
        process.kill()
        process.wait()
    assert first["oncpu_ns"] == pytest.approx(second["oncpu_ns"], rel=0.05, abs=1e6)
    assert first["voluntary_switches"] == pytest.approx(second["voluntary_switches"], rel=0.05)


def test_nothing_is_left_after_close_or_kill() -> None:
    before = our_programs()
    for _ in range(5):
        Session().close()
    code = "from ebtop.session import Session; s = Session(); print('up', flush=True); input()"
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        )  # fmt: skip
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        assert our_programs() - before
        process.kill()
        process.wait()
    end = time.monotonic() + 1
    while our_programs() - before and time.monotonic() < end:
        time.sleep(0.05)
    assert not our_programs() - before


def test_descriptors_and_memory_stay_flat() -> None:
    Session().close()
    descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        Session().close()
    assert len(os.listdir("/proc/self/fd")) == descriptors
    with opened() as session:
        churn = start("forks", "1000000")
        pages = []
        for i in range(400):
            watch(session, 0.01)
            session.refresh(threads=i % 2 == 0)
            if i % 100 == 99:
                pages.append(int(Path("/proc/self/statm").read_text().split()[1]))
        churn.kill()
        churn.wait()
    assert pages[-1] - pages[0] < 512, pages
