# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Nothing grows while a session runs, nothing stays after it, and two do not disturb each other."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from kernelobjects import assert_gone_within_a_second, held
from observe import fewer, opened, python, row_of, start, until_asleep, watch

from ebtop.sources.bpf import Session

HOLD = "from ebtop.sources.bpf import Session; s = Session(); print('up', flush=True); input()"


def test_nothing_is_left_after_close() -> None:
    before = held(os.getpid())
    seen: set[tuple[str, int]] = set()
    for _ in range(5):
        with opened():
            seen |= held(os.getpid())
    assert {kind for kind, _ in seen - before} == {"prog", "map", "link"}
    assert held(os.getpid()) == before
    assert_gone_within_a_second(seen - before)


def test_nothing_is_left_after_being_killed() -> None:
    with opened() as session:
        each = len(session.programs())
    seen: set[tuple[str, int]] = set()
    for _ in range(7):
        process = python(HOLD)
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        seen |= held(process.pid)
        process.kill()
        process.wait()
    assert len({number for kind, number in seen if kind == "prog"}) == 7 * each
    assert_gone_within_a_second(seen)


@pytest.mark.long("it looks for leaks, and so does the soak")
def test_descriptors_are_the_same_after_many_sessions() -> None:
    Session().close()
    descriptors = os.listdir("/proc/self/fd")
    for _ in range(fewer(53)):
        Session().close()
    assert os.listdir("/proc/self/fd") == descriptors


def statistics_held() -> int:
    """How often this process holds the kernel's BPF statistics on."""
    links = (f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd"))
    return sum("bpf-stats" in os.readlink(link) for link in links if os.path.islink(link))


def test_statistics_are_held_on_only_while_cost_is_wanted() -> None:
    with opened() as session:
        assert session.refresh().self_cost.probe_ns is None
        assert statistics_held() == 0
        assert session.refresh(cost=True).self_cost.probe_ns is None
        assert statistics_held() == 1
        time.sleep(0.05)
        snapshot = session.refresh(cost=True)
        assert snapshot.self_cost.probe_ns is not None and snapshot.self_cost.probe_ns > 0
        assert all(
            probe.runs and probe.run_ns for probe in snapshot.probes if probe.name == "sched"
        )
        session.refresh()
        assert statistics_held() == 0
        time.sleep(0.05)
        assert session.refresh().self_cost.probe_ns is None
        session.refresh(cost=True)
    assert statistics_held() == 0


def test_two_sessions_agree_to_the_unit() -> None:
    """The workload stands still when the two are read, so both speak of the same moment."""
    process = start("sleeps", "1000000")
    with opened() as one, opened() as two:
        rows = []
        for _ in range(2):
            process.send_signal(signal.SIGSTOP)
            until_asleep(process.pid, "T")
            snapshots = [session.refresh(cumulative=True, reset=True) for session in (one, two)]
            rows = [row_of(snapshot, process.pid) for snapshot in snapshots]
            process.send_signal(signal.SIGCONT)
            watch(one, 0.5)
        process.kill()
        process.wait()
    assert rows[0]["voluntary_switches"] > 100
    for name in ("oncpu_ns", "voluntary_switches", "involuntary_switches", "migrations"):
        assert rows[0][name] == rows[1][name]


def test_killing_one_session_leaves_the_other_counting() -> None:
    process = start("sleeps", "1000000")
    with opened() as session:
        other = python(HOLD)
        assert other.stdout is not None and other.stdout.readline() == "up\n"
        other.kill()
        other.wait()
        session.refresh()
        watch(session, 0.3)
        row = row_of(session.refresh(), process.pid)
        process.kill()
        process.wait()
    assert row["voluntary_switches"] > 50


@pytest.mark.long("it looks for leaks, and so does the soak")
def test_memory_stays_flat_under_churn() -> None:
    with opened() as session:
        churn = start("forks", "1000000")
        pages = []
        for i in range(2000):
            watch(session, 0.001)
            session.refresh(threads=i % 2 == 0)
            if i % 200 == 199:
                # not the maps, which are mapped as far as threads have used them
                resident, shared = Path("/proc/self/statm").read_text().split()[1:3]
                pages.append(int(resident) - int(shared))
        churn.kill()
        churn.wait()
    # by then every system call has been met, each of which costs 7 KiB once; the least of three,
    # since a storm's table comes and goes with it
    assert min(pages[-3:]) - min(pages[3:6]) < 256, pages
