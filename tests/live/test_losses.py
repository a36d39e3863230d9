# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What cannot be counted is counted as lost; what is refused or not asked for stands alone."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time

import pytest
from bpfmaps import Occupancy
from observe import (
    fewer,
    is_paused,
    named,
    opened,
    python,
    row_of,
    start,
    until_done,
    value,
    watch,
    workload,
)

from ebtop.errors import PermissionDenied, Unsupported
from ebtop.model.layout import EXITED
from ebtop.model.snapshot import Snapshot

ACCOUNTING = ("sched", "life", "tasks")

NAMES = {"switch_btf", "wakeup_btf", "wakeup_new_btf", "fork_btf", "exec_args_btf", "exec_btf",
         "exit_btf", "tasks_iter", "tasks_bare_iter"}  # fmt: skip
# a buffer that a few hundred lives fill: each is three events, of some 800 bytes
SMALL, LIVES = 1 << 16, 307
ERRNOS = ("EPERM", "EACCES", "EINVAL", "ENOENT", "ENOMEM", "ESRCH", "E2BIG")


def test_produced_is_delivered_plus_lost_when_nobody_reads() -> None:
    with opened(["life"], SMALL) as session:
        subprocess.run([workload("spawn"), str(LIVES), workload("act"), "exit", "0"], check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        snapshot = session.refresh()
        after = session.refresh()
    system = snapshot.system
    assert system.started is not None and system.execs is not None and system.exited is not None
    delivered = system.started + system.execs + system.exited
    lost = dropped(snapshot.self_cost.lost)
    made = 3 * (LIVES + 1)
    # something else on the machine may start a process too: see the next test
    assert made <= delivered + lost
    assert lost > 0
    used, room = snapshot.tables["events"]
    assert room == SMALL and used > 0.9 * room
    assert after.tables["events"][0] < 0.9 * room
    assert dropped(after.self_cost.lost) == 0


def dropped(lost: dict[str, int]) -> int:
    """Events that the buffer had no room for; births are told apart."""
    return lost["ring_buffer"] + lost["forks"]


def events_of(*snapshots: Snapshot) -> int:
    """Events that were delivered or counted as lost."""
    systems = [snapshot.system for snapshot in snapshots]
    delivered = sum((s.started or 0) + (s.execs or 0) + (s.exited or 0) for s in systems)
    return delivered + sum(dropped(s.self_cost.lost) for s in snapshots)


def test_slow_reader_loses_what_a_quick_one_gets_and_counts_it() -> None:
    """Two sessions meet the same events: one reads them as they come, one not at all."""
    command = [workload("spawn"), str(LIVES), workload("act"), "exit", "0"]
    for _ in range(5):  # an event of something else may fall between the two refreshes
        with opened(["life"], SMALL) as slow, opened(["life"]) as quick:
            slow.refresh(), quick.refresh()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            while process.poll() is None:
                watch(quick, 0.02)
            first, second = quick.refresh(), slow.refresh()
        assert dropped(first.self_cost.lost) == 0
        assert dropped(second.self_cost.lost) > 0
        if events_of(first) == events_of(second):
            return
    assert events_of(first) == events_of(second)


def test_stopped_reader_finds_every_event_delivered_or_lost() -> None:
    """As with SIGSTOP on ebtop: it is stopped while hundreds of processes come and go."""
    code = """if True:
        import select, sys
        from ebtop.sources.bpf import Session
        with Session(["life"], events_bytes=1 << 16) as session:
            session.refresh()
            print("up", flush=True)
            while not select.select([session.event_fd, sys.stdin], [], [], 0.2)[0].count(sys.stdin):
                session.poll()
            snapshot = session.refresh()
            system, lost = snapshot.system, snapshot.self_cost.lost
            dropped = lost["ring_buffer"] + lost["forks"]
            print(system.started + system.execs + system.exited, dropped, flush=True)
            sys.stdin.read()
    """
    with opened(["life"]) as watcher, python(code) as reader:
        assert reader.stdout is not None and reader.stdin is not None
        assert reader.stdout.readline() == "up\n"
        reader.send_signal(signal.SIGSTOP)
        watcher.refresh()
        command = [workload("spawn"), str(LIVES), workload("act"), "exit", "0"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        watch(watcher, 30, lambda: process.poll() is not None)
        made = events_of(watcher.refresh())
        reader.send_signal(signal.SIGCONT)
        reader.stdin.write("\n")
        reader.stdin.flush()
        delivered, lost = (int(word) for word in reader.stdout.readline().split())
        reader.kill()
    assert lost > 0
    # others on the machine may have begun or ended something before and after
    assert made <= delivered + lost <= made + 500


def test_fork_storm_is_counted_whole() -> None:
    count = fewer(20011)
    with opened() as session:
        process = start("forks", str(count))
        children: set[tuple[int, int]] = set()
        ended = False
        while not ended:
            watch(session, 0.5)
            ended = is_paused(process.pid)
            snapshot = session.refresh()
            children |= {
                (row["pid"], row["start_ns"])
                for row in named(snapshot, b"act")
                if row["flags"] & EXITED and row["ppid"] == process.pid
            }
        lost = session.refresh().self_cost.lost_total
        process.kill()
        process.wait()
    assert len(children) + dropped(lost) + lost["thread_slots"] >= count
    assert len(children) <= count


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


def test_thread_without_a_slot_is_one_loss_however_often_it_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EBTOP_THREADS_MAX", "64")
    with opened() as session:
        processes = [start("sleeps", "1000000") for _ in range(101)]
        watch(session, 0.5)
        snapshot = session.refresh()
        switches = sum(row["voluntary_switches"] for row in named(snapshot, b"act"))
        lost = snapshot.self_cost.lost_total["thread_slots"]
        for process in processes:
            process.kill()
            process.wait()
    assert switches > 5000
    assert 101 - 64 <= lost <= 101 + (snapshot.system.threads or 0)


MANY_THREADS = """if True:
    import sys, threading
    threading.stack_size(65536)
    for _ in range(700):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    print("up", flush=True)
    sys.stdin.read()
"""


def test_slots_run_out_again_and_again_and_all_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EBTOP_THREADS_MAX", "512")
    losses = []
    with opened() as session:
        slots = Occupancy(os.getpid())
        for _ in range(3):
            with python(MANY_THREADS) as process:
                assert process.stdout is not None and process.stdout.readline() == "up\n"
                watch(session, 0.2)
                snapshot = session.refresh()
                row = row_of(snapshot, process.pid)
                losses.append(snapshot.self_cost.lost["thread_slots"])
                assert row["threads"] == 701 and value(row, "runq_wait_ns") is None
                assert slots.of_process(process.pid) + losses[-1] >= 701
                assert slots.used() <= 512
                process.kill()
            watch(session, 5, lambda pid=process.pid: not slots.of_process(pid))
            session.refresh()
            assert not slots.of_process(process.pid)
        stale = slots.stale()
        watch(session, 0.3)
        assert not stale & slots.stale()
    # a slot that is not given back would be missing the next time
    assert all(701 - 512 <= loss < 701 for loss in losses)
    assert max(losses) - min(losses) < 100


def test_thread_storm_wakes_the_reader_before_slots_run_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # as many a CPU as on a machine of 128 with the default
    monkeypatch.setenv("EBTOP_THREADS_MAX", str(512 * (os.cpu_count() or 1)))
    with opened() as session:
        process = start("threads", "5003")
        watch(session, 30, lambda: is_paused(process.pid))
        time.sleep(0.05)
        snapshot = session.refresh(threads=True)
        threads = [t for t in snapshot.threads.rows() if t["pid"] == process.pid]
        process.kill()
        process.wait()
    lost = snapshot.self_cost.lost_total["thread_slots"]
    assert len(threads) + lost >= 5004
    # the reader may be late when others load the machine, but it does not sleep through
    assert lost < 1000


@pytest.mark.parametrize("probe", ACCOUNTING)
def test_probe_alone_says_what_it_knows_and_no_more(probe: str) -> None:
    process = start("sleeps", "100000")
    try:
        with opened([probe]) as session:
            watch(session, 0.2)
            session.refresh()
            watch(session, 0.2)
            subprocess.run([workload("act"), "exit", "0"], check=True)
            snapshot = session.refresh()
            states = states_of(snapshot)
            rows = {row["pid"]: row for row in snapshot.processes.rows()}
    finally:
        process.kill()
        process.wait()
    assert states == {name: "on" if name == probe else "off" for name in ACCOUNTING}
    assert (snapshot.system.started is not None) == (probe == "life")
    assert (snapshot.system.context_switches is not None) == (probe == "sched")
    if probe == "life":
        return
    row = rows[process.pid]
    assert value(row, "oncpu_ns") > 0
    assert (value(row, "runq_wait_ns") is not None) == (probe == "sched")
    assert (value(row, "rss_bytes") is not None) == (probe == "tasks")
    assert (value(row, "ppid") is not None) == (probe == "tasks")


@pytest.mark.parametrize("off", ACCOUNTING)
def test_two_probes_do_without_the_third(off: str) -> None:
    with opened([name for name in ACCOUNTING if name != off]) as session:
        process = start("sleeps", "101")
        until_done(process)
        time.sleep(0.02)
        snapshot = session.refresh()
        row = row_of(snapshot, process.pid)
        process.kill()
        process.wait()
        states = states_of(snapshot)
        assert states == {name: "off" if name == off else "on" for name in ACCOUNTING}
        assert value(row, "runq_wait_ns") != 0
        assert (value(row, "runq_wait_ns") is None) == (off == "sched")
        assert (value(row, "rss_bytes") is None) == (off == "tasks")
        assert (snapshot.system.started is None) == (off == "life")
        if off != "sched":
            assert value(row, "voluntary_switches") >= 101
        watch(session, 0.1)
        gone = row_of(session.refresh(), process.pid, gone=True)
    assert (value(gone, "exit_code") is None) == (off == "life")


def test_arguments_are_done_without_where_they_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EBTOP_FAIL", f"exec_args_btf:{errno.EINVAL}")
    with opened(ACCOUNTING) as session:
        process = start("exit", "3")
        process.wait()
        time.sleep(0.02)
        snapshot = session.refresh()
        row = row_of(snapshot, process.pid, gone=True)
    assert (row["comm"], row["text_bytes"], row["exit_code"]) == (b"act", 0, 3 << 8)
    assert set(states_of(snapshot).values()) == {"on"}


# where one of these is refused, its probe goes on with a lesser one
HAVE_SPARE = {"exec_args_btf", "tasks_iter", "switch_btf"}
PROGRAMS = sorted(NAMES - {"exec_btf", "tasks_bare_iter"})
# every program, and every number: they do not depend on each other
REFUSALS = [
    (program, code)
    for i, program in enumerate(PROGRAMS)
    for k, code in enumerate(ERRNOS)
    if i == k % len(PROGRAMS) or program == "wakeup_btf"
]


@pytest.mark.parametrize(("program", "code"), REFUSALS)
def test_refused_program_takes_only_its_own_probe(
    program: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBTOP_FAIL", f"{program}:{getattr(errno, code)}")
    with opened(ACCOUNTING) as session:
        snapshot = session.refresh()
    broken = None if program in HAVE_SPARE else _probe_of(program)
    for status in snapshot.probes:
        if status.name not in ACCOUNTING:
            continue
        if status.name != broken:
            assert (status.state, status.reason) == ("on", None)
            continue
        denied, missing = ("EPERM", "EACCES"), ("ENOENT", "ESRCH")
        expected = "denied" if code in denied else "unsupported" if code in missing else "failed"
        assert status.state == expected
        assert status.reason
        assert status.runs is None


@pytest.mark.parametrize("probe, programs", [("life", "exec_args_btf exec_btf"),
                                            ("tasks", "tasks_iter tasks_bare_iter")])  # fmt: skip
def test_probe_is_off_when_all_its_variants_are_refused(
    probe: str, programs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBTOP_FAIL", ",".join(f"{p}:{errno.EACCES}" for p in programs.split()))
    with opened(ACCOUNTING) as session:
        states = states_of(session.refresh())
    assert states == {name: "denied" if name == probe else "on" for name in ACCOUNTING}


@pytest.mark.parametrize("code, error", [("EPERM", PermissionDenied), ("ENOENT", Unsupported)])
def test_session_is_refused_when_all_probes_are(
    code: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBTOP_FAIL", ",".join(f"{p}:{getattr(errno, code)}" for p in NAMES))
    with pytest.raises(error):
        opened(ACCOUNTING)


def states_of(snapshot: Snapshot) -> dict[str, str]:
    return {s.name: s.state for s in snapshot.probes if s.name in ACCOUNTING}


def _probe_of(program: str) -> str:
    if program.startswith(("switch", "wakeup")):
        return "sched"
    return "life"
