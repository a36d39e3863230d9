# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""System calls are counted exactly, of a process and of the machine, whatever becomes of a call."""

from __future__ import annotations

import os
import signal
import statistics
import time
from pathlib import Path

import pytest
from calling import TEN, calling, histogram, only, table
from observe import opened, row_of, until_asleep, value, watch

from ebtop.model import syscallnames
from ebtop.model.filters import KernelFilter
from ebtop.model.layout import CATEGORIES, LOG2_BUCKETS


def test_ten_calls_are_exact_of_the_process_and_of_the_machine() -> None:
    with calling("ten") as caller, opened() as session:
        session.refresh()
        caller.begin()
        caller.until_done()
        snapshot = session.refresh()
    calls = table(snapshot)
    for name, (count, fails) in TEN.items():
        row = calls[name]
        # others on the machine make these too; of most nobody does in this moment
        assert row["calls"] >= count and row["errors"] >= count * fails
        assert sum(histogram(row)) == row["calls"]
        assert row["min_ns"] <= row["p50_ns"] <= row["p95_ns"] <= row["p99_ns"] <= row["max_ns"]
    exact = [n for n, (count, fails) in TEN.items()
             if (calls[n]["calls"], calls[n]["errors"]) == (count, count * fails)]  # fmt: skip
    assert len(exact) >= 6
    row = row_of(snapshot, caller.pid)
    # and the write that said it was done; the read before had begun when nobody counted
    assert row["syscalls"] == sum(count for count, _ in TEN.values()) + 1
    assert row["syscall_errors"] == sum(count for count, fails in TEN.values() if fails)
    assert sum(row[f"syscalls_{category}"] for category in CATEGORIES) == row["syscalls"]
    assert row["syscalls_network"] == 107


def test_filtered_table_is_of_that_process_alone() -> None:
    with calling("ten") as caller, only(caller) as session:
        caller.begin()
        caller.until_done()
        snapshot = session.refresh()
        own = row_of(snapshot, os.getpid())
    calls = table(snapshot)
    assert {name: (row["calls"], bool(row["errors"])) for name, row in calls.items()} == {
        **TEN, "write": (1, False)
    }  # fmt: skip
    assert value(row_of(snapshot, caller.pid), "syscalls") > 0
    assert value(own, "syscalls") is None and snapshot.system.syscalls is None


def test_sleeps_fall_into_their_bucket_and_percentiles_are_the_clocks() -> None:
    with calling("sleep", "101", "5000000") as caller, only(caller) as session:
        caller.begin()
        took = [int(line) for line in caller.until_done()]
        row = table(session.refresh())["nanosleep"]
    assert row["calls"] == sum(histogram(row)) == len(took) == 101
    # the program's clock includes the way into the kernel and back
    inside = [sum(1 << i <= ns < 1 << i + 1 for ns in took) for i in range(LOG2_BUCKETS)]
    assert sum(abs(a - b) for a, b in zip(histogram(row), inside)) <= 4
    assert row["p50_ns"] == pytest.approx(statistics.median(took), rel=0.0625 + 0.02)
    assert 5_000_000 <= row["min_ns"] <= min(took)
    assert row["max_ns"] <= max(took)
    assert row["total_ns"] == pytest.approx(sum(took), rel=0.02)


def test_call_in_progress_at_the_start_has_no_latency_and_disturbs_none() -> None:
    with calling("ten") as caller:
        time.sleep(0.3)  # inside read(2)
        with only(caller) as session:
            caller.begin()
            caller.until_done()
            calls = table(session.refresh())
    # the read that began before is not counted; the one it is in now has not returned
    assert "read" not in calls and calls["getppid"]["calls"] == 1009


def test_interrupted_call_that_goes_on_is_one_call() -> None:
    with calling("stop") as caller, only(caller) as session:
        caller.begin()
        time.sleep(0.1)
        os.kill(caller.pid, signal.SIGSTOP)
        until_asleep(caller.pid, "T")
        os.kill(caller.pid, signal.SIGCONT)
        (took,) = (int(line) for line in caller.until_done())
        calls = table(session.refresh())
    row = calls["nanosleep"]
    assert (row["calls"], row["errors"]) == (1, 0)
    assert row["max_ns"] == pytest.approx(took, rel=0.05) and row["max_ns"] > 450_000_000
    assert "restart_syscall" not in calls


def test_call_that_a_signal_ends_for_good_is_counted_as_failed() -> None:
    with calling("stop") as caller, only(caller) as session:
        caller.begin()
        time.sleep(0.1)
        os.kill(caller.pid, signal.SIGTERM)
        caller.process.wait()
        watch(session, 0.1)
        snapshot = session.refresh()
        # what the ended thread left is added to the table of the machine in the next one
        row = table(snapshot).get("nanosleep") or table(session.refresh())["nanosleep"]
    gone = row_of(snapshot, caller.pid, gone=True)
    assert (row["calls"], row["errors"], sum(histogram(row))) == (1, 1, 1)
    assert gone["syscall_errors"] == 1


def test_call_that_never_returns_is_counted_and_has_no_latency() -> None:
    with calling("none") as caller, only(caller) as session:
        caller.begin()
        caller.until_done()
        caller.begin()
        caller.process.wait()
        watch(session, 0.1)
        calls = table(session.refresh())
    row = calls["exit_group"]
    assert (row["calls"], row["total_ns"], sum(histogram(row)), row["p99_ns"]) == (1, 0, 0, 0)


def test_calls_of_a_thread_that_changes_cpus_inside_them_are_exact() -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two CPUs to change between")
    with calling("hop", "1009") as caller, only(caller) as session:
        caller.begin()
        caller.until_done()
        snapshot = session.refresh()
    row = table(snapshot)["sched_setaffinity"]
    assert (row["calls"], row["errors"], sum(histogram(row))) == (1009, 0, 1009)
    assert row_of(snapshot, caller.pid)["migrations"] >= 900


def test_32_bit_calls_have_their_own_numbers() -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("only x86-64 lets a 64-bit program make them")
    knows = " bpf_get_current_task_btf\n" in Path("/proc/kallsyms").read_text()
    with calling("compat", "211") as caller, only(caller) as session:
        caller.begin()
        caller.until_done()
        snapshot = session.refresh()
    assert snapshot.syscalls is not None
    found = {(row["number"], row["compat"]): row["calls"] for row in snapshot.syscalls.rows()}
    # before 5.11 they cannot be told from 64-bit calls, where 64-bit code makes them
    assert found[20, int(knows)] == 211
    assert syscallnames.name_of(20, compat=True) == "getpid"


@pytest.mark.parametrize("descendants, count", [(False, 0), (True, 14)])
def test_filter_takes_descendants_when_asked_to(descendants: bool, count: int) -> None:
    with calling("tree") as caller, only(caller, descendants=descendants) as session:
        caller.begin()
        caller.until_done()
        calls = table(session.refresh())
    assert calls.get("getppid", {"calls": 0})["calls"] == count


def test_filter_for_latency_keeps_short_calls_out_of_the_table() -> None:
    with (
        calling("sleep", "11", "5000000") as caller,
        only(caller, min_latency_ns=2_000_000) as session,
    ):
        caller.begin()
        caller.until_done()
        snapshot = session.refresh()
    assert set(table(snapshot)) == {"nanosleep"} and table(snapshot)["nanosleep"]["calls"] == 11
    # of the process all are counted, the clock's vDSO aside
    assert row_of(snapshot, caller.pid)["syscalls"] > 11


def test_filter_holds_from_the_next_call_on() -> None:
    with calling("ten") as caller, opened() as session:
        session.set_filter(KernelFilter(pid=1))
        caller.begin()
        caller.until_done()
        assert "getppid" not in table(session.refresh())
        session.set_filter(KernelFilter(pid=caller.pid))
        snapshot = session.refresh()
        assert snapshot.filter == KernelFilter(pid=caller.pid)
    with calling("ten") as caller, opened() as session:
        session.set_filter(KernelFilter(uid=os.geteuid() + 12345))
        caller.begin()
        caller.until_done()
        assert "getppid" not in table(session.refresh())


def test_windows_are_the_interval_ten_seconds_and_since_the_reset() -> None:
    with calling("sleep", "3", "1000000") as caller, only(caller) as session:
        session.refresh(window="ten_seconds")
        caller.begin()
        caller.until_done()
        first = session.refresh(window="ten_seconds")
        later = session.refresh(window="ten_seconds")
        alone = session.refresh()
        since = session.refresh(window="reset", reset=True)
        after = session.refresh(window="reset")
    counts = [table(s).get("nanosleep", {"calls": 0})["calls"]
              for s in (first, later, alone, since, after)]  # fmt: skip
    assert counts == [3, 3, 0, 3, 0]
    assert 0 < first.window_s <= later.window_s <= 11
    assert since.window_s > alone.window_s
