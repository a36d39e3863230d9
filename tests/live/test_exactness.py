# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Known workloads against the collector, and the collector against the kernel's own account."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from observe import (
    fewer,
    is_paused,
    opened,
    row_of,
    start,
    stolen_ns,
    until_done,
    value,
    watch,
    workload,
)

from ebtop.model.layout import COUNTERS, EXITED, KERNEL


def test_short_lives_of_a_prime_number_are_as_many_rows_with_all_their_time() -> None:
    count = fewer(5003)
    with opened() as session:
        command = [workload("spawn"), str(count), workload("act"), "exit", "7"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        lives, oncpu_ns, codes, ended = set(), 0, set(), False
        while not ended:
            watch(session, 0.5, lambda: process.poll() is not None)
            ended = process.poll() is not None
            time.sleep(0.1 if ended else 0)
            snapshot = session.refresh()
            for row in snapshot.processes.rows():
                if row["ppid"] != process.pid:
                    continue
                # a life may be cut by a refresh, and a zombie is shown until it is reaped
                oncpu_ns += row["oncpu_ns"]
                if row["flags"] & EXITED:
                    lives.add((row["pid"], row["start_ns"]))
                    codes.add(value(row, "exit_code"))
        assert process.stdout is not None
        rusage_us = int(process.stdout.read())
        assert not any(snapshot.self_cost.lost_total.values())
    assert len(lives) == count
    assert codes == {7 << 8}
    # reaped after their last switch away, so that wait(2) knows all of it
    assert oncpu_ns / 1000 == pytest.approx(rusage_us, rel=0.001)


@pytest.mark.parametrize("began_before", [True, False])
def test_spinning_thread_is_one_cpu(began_before: bool) -> None:
    process = start("spin", "60000") if began_before else None
    with opened() as session:
        process = process or start("spin", "60000")
        watch(session, 0.3)
        session.refresh()
        watch(session, 1.0)
        row = row_of(snapshot := session.refresh(), process.pid)
        process.kill()
        process.wait()
        # another process may get a turn on the same CPU: then the thread was runnable, not idle
        ran_ns = row["oncpu_ns"] + row["runq_wait_ns"]
    percent = ran_ns / snapshot.interval_s / 1e7
    assert 99 <= percent <= 101
    assert row["voluntary_switches"] == 0


def test_thread_that_never_leaves_its_cpu_is_one_cpu() -> None:
    if (os.cpu_count() or 1) < 2:
        pytest.skip("one CPU: the test itself needs it")
    process = start("spin", "60000")
    os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
    os.sched_setscheduler(process.pid, os.SCHED_FIFO, os.sched_param(1))
    try:
        with opened() as session:
            # the kernel itself takes the CPU at times, and for a twentieth of each second
            for _ in range(20):
                steal = stolen_ns()
                time.sleep(0.2)
                snapshot = session.refresh()
                row = row_of(snapshot, process.pid)
                steal = stolen_ns() - steal
                if not steal and row["involuntary_switches"] == row["runq_wait_ns"] == 0:
                    break
    finally:
        process.kill()
        process.wait()
    assert (row["voluntary_switches"], row["involuntary_switches"]) == (0, 0)
    assert row["runq_wait_ns"] == row["offcpu_ns"] == 0
    assert 99 <= row["oncpu_ns"] / snapshot.interval_s / 1e7 <= 101


def _clocks(processes: list[subprocess.Popen[str]]) -> list[int]:
    """What each `act clock` has run by its own clocks, the slice in progress included."""
    found = []
    for process in processes:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        found.append(int(process.stdout.readline()))
    return found


@pytest.mark.parametrize("processes", [1, 3])
def test_oncpu_time_of_what_runs_is_that_of_its_own_clocks(processes: int) -> None:
    """Each refresh is between two readings of the clocks, so its moment is bounded by them."""
    workers = [start("clock", "60000") for _ in range(processes)]
    with opened() as session:
        watch(session, 0.3)
        before = _clocks(workers)
        session.refresh()
        began = _clocks(workers)
        watch(session, 3)
        ended = _clocks(workers)
        snapshot = session.refresh()
        after = _clocks(workers)
        for process in workers:
            process.kill()
            process.wait()
    for i, process in enumerate(workers):
        ran_ns = row_of(snapshot, process.pid)["oncpu_ns"]
        # interrupts and a hypervisor take time from the slice in progress that no clock tells of
        slack_ns = 0.005 * ran_ns
        assert ended[i] - began[i] - slack_ns <= ran_ns <= after[i] - before[i] + slack_ns


def test_switches_of_a_prime_number_of_sleeps_are_the_kernels_count() -> None:
    with opened() as session:
        # long enough that it has left its CPU before the time is up, however slow the machine
        process = start("sleeps", "211", "10000")
        until_done(process)
        row = row_of(session.refresh(cumulative=True), process.pid)
        status = Path(f"/proc/{process.pid}/status").read_text()
        process.kill()
        process.wait()
    counts = dict(line.split(":\t") for line in status.splitlines() if "ctxt_switches" in line)
    assert row["voluntary_switches"] == int(counts["voluntary_ctxt_switches"])
    assert row["involuntary_switches"] == int(counts["nonvoluntary_ctxt_switches"])
    assert row["voluntary_switches"] >= 211


def test_migrations_are_the_kernels_count() -> None:
    if (os.cpu_count() or 1) < 2:
        pytest.skip("one CPU: nothing can migrate")
    process = start("migrate", "211")
    with opened() as session:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        until_done(process)
        row = row_of(session.refresh(cumulative=True), process.pid)
        process.kill()
        process.wait()
    # 210 moves were asked for; the first depends on where it was, and waking up may move it too
    assert 210 <= row["migrations"] <= 216


def test_time_adds_up_to_the_life_of_every_thread() -> None:
    workers = [start("spin", "60000") for _ in range(3)] + [start("sleeps", "1000000")]
    workers.append(start("wait", "0"))
    with opened() as session:
        watch(session, 0.5)
        # a thread is read a moment after the refresh began, at most when it is over
        apart_s = -time.monotonic()
        session.refresh(reset=True)
        apart_s += time.monotonic()
        for _ in range(6):
            watch(session, 0.5)
            began = time.monotonic()
            snapshot = session.refresh(cumulative=True)
        apart_s += time.monotonic() - began
        for process in workers:
            process.kill()
            process.wait()
    pids = {process.pid for process in workers}
    compared = 0
    for row in snapshot.processes.rows():
        if not row["pid"]:  # what is written back for nobody in particular
            continue
        # a kernel thread has no other that may have come and gone
        if row["pid"] not in pids and not (row["flags"] & KERNEL and not row["flags"] & EXITED):
            continue
        if row["start_ns"] / 1e9 > (snapshot.host.uptime_s or 0) - 4:
            continue
        lived = row["oncpu_ns"] + row["offcpu_ns"] + row["runq_wait_ns"]
        slack_s = apart_s + 0.005 * snapshot.counted_s
        assert lived / 1e9 == pytest.approx(snapshot.counted_s, abs=slack_s), row
        compared += 1
    assert compared >= len(workers)


@pytest.mark.parametrize("reset", [False, True])
def test_cumulative_is_the_sum_of_the_intervals(reset: bool) -> None:
    with opened() as session:
        process = start("sleeps", "2503")
        if reset:
            watch(session, 0.1)
            session.refresh(reset=True)
        sums = dict.fromkeys(COUNTERS, 0)
        while not is_paused(process.pid):
            watch(session, 0.05)
            row = row_of(session.refresh(), process.pid)
            sums = {name: amount + row[name] for name, amount in sums.items()}
        time.sleep(0.05)
        row = row_of(session.refresh(), process.pid)
        sums = {name: amount + row[name] for name, amount in sums.items()}
        # now it sleeps, so that all that the last interval adds is sleep
        snapshot = session.refresh(cumulative=True)
        total = row_of(snapshot, process.pid)
        process.kill()
        process.wait()
    for name in ("offcpu_ns", "wait_sleep_ns", "lifetime_ns"):
        sums[name] += round(snapshot.interval_s * 1e9)
    assert {name: total[name] for name in COUNTERS} == sums


def test_threads_add_up_to_their_process() -> None:
    process = start("threads", "1013")
    with opened() as session:
        until_done(process)
        snapshot = session.refresh(threads=True)
        row = row_of(snapshot, process.pid)
        threads = [t for t in snapshot.threads.rows() if t["pid"] == process.pid]
        process.kill()
        process.wait()
    for name in ("oncpu_ns", "runq_wait_ns", "voluntary_switches", "involuntary_switches"):
        assert sum(thread[name] for thread in threads) == row[name]
    assert row["threads"] == 1


def test_every_thread_of_a_prime_number_has_its_row() -> None:
    with opened() as session:
        process = start("threads", "1013")
        until_done(process)
        snapshot = session.refresh(threads=True)
        process.kill()
        process.wait()
    threads = [t for t in snapshot.threads.rows() if t["pid"] == process.pid]
    assert len(threads) == 1 + 1013
    assert sum(bool(t["flags"] & EXITED) for t in threads) == 1013


def test_kernel_threads_are_marked_and_have_no_memory() -> None:
    with opened() as session:
        time.sleep(0.05)
        kernel = [r for r in session.refresh().processes.rows() if r["flags"] & KERNEL]
    assert len(kernel) > 5
    assert all(value(row, "rss_bytes") is None for row in kernel)
