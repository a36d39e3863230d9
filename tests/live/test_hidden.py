# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A process that no program sees: its tasks are in no iteration, and no program runs while it is
current.

Some sandboxes have one (pid 1), and there it can be met but not made. Here programs are told to
leave a process out just so. What it is comes from /proc then, and its neighbour on the CPU has all
its time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bpfmaps import Map, described
from observe import EMULATED, row_of, start, unexpected, value, watch, workload

from ebtop.model.filters import KernelFilter, RowFilter
from ebtop.model.layout import EXITED, KNOWN_BIT, Layout
from ebtop.model.rows import RowQuery
from ebtop.model.snapshot import Snapshot
from ebtop.outputs import sample_json
from ebtop.sources.bpf import Session

TICK_NS = 10_000_000
"""The kernel brings the execution time of what runs up to date at each tick."""
PAGES = 1009
CONFIG = "ebtop_config"
CONFIG_LAYOUT = Layout("struct ebtop_config")
NOBODY = 0xFFFFFFFF


def _take_cpu(pid: int, priority: int) -> None:
    """One CPU before all others: nobody but the two of a test switches there, or nearly so."""
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), {max(os.sched_getaffinity(0))})
        os.sched_setscheduler(int(task), os.SCHED_FIFO, os.sched_param(priority))


@contextmanager
def hiding(pid: int, monkeypatch: pytest.MonkeyPatch, named: int = 0) -> Iterator[Session]:
    """A session for which nobody sees that process; a first look at /proc finds it once it is two
    seconds old."""
    monkeypatch.setenv("EBTOP_FAIL", f"hide:{pid}")
    while time.clock_gettime(time.CLOCK_BOOTTIME) - _began_s(pid) < 2.1:
        time.sleep(0.05)
    with Session() as session:
        session.set_filter(KernelFilter(pid=named))
        session.refresh()
        yield session


def _began_s(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(words[19]) / os.sysconf("SC_CLK_TCK")


@contextmanager
def busy(spin_ms: int, sleep_ms: int) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    command = [workload("hidden"), str(spin_ms), str(sleep_ms), str(PAGES)]
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def hidden() -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    command = [workload("hidden"), "7", "61", str(PAGES)]
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    _take_cpu(process.pid, 2)
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def session(hidden: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setenv("EBTOP_FAIL", f"hide:{hidden.pid}")
    with Session() as session:
        if not any(program.name == "current_raw" for program in session.programs()):
            pytest.fail("no program looks at who is on a CPU")
        session.refresh()
        watch(session, 0.3)
        session.refresh()
        yield session


def _ran_ns(pid: int) -> int:
    """Of all threads, by the scheduler's account; a slice in progress lags by a tick at most."""
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in files)


def test_neighbour_of_a_hidden_process_has_its_time_in_every_sample(
    session: Session, hidden: subprocess.Popen[str]
) -> None:
    process = start("spin", "60000")
    _take_cpu(process.pid, 1)
    watch(session, 0.5)
    before = _ran_ns(process.pid)
    session.refresh()
    after = _ran_ns(process.pid)
    wrong = []
    # a row is read some time after the snapshot's moment, which an emulator shows
    apart = 0.01 if not EMULATED else 0.05
    for _ in range(16):
        watch(session, 0.25)
        lower = _ran_ns(process.pid) - after - 2 * TICK_NS
        snapshot = session.refresh()
        row = row_of(snapshot, process.pid)
        upper = _ran_ns(process.pid) - before + 2 * TICK_NS
        before, after = lower + after + 2 * TICK_NS, upper + before - 2 * TICK_NS
        whole = row["oncpu_ns"] + row["runq_wait_ns"] + row["offcpu_ns"]
        share = whole / 1e9 / snapshot.interval_s
        if not lower <= row["oncpu_ns"] <= upper or abs(share - 1) > apart:
            wrong.append((lower, row["oncpu_ns"], upper, share))
    process.kill()
    process.wait()
    assert not wrong
    assert not unexpected(snapshot.self_cost.lost_total)


def test_hidden_process_is_what_proc_says_it_is(
    session: Session, hidden: subprocess.Popen[str]
) -> None:
    row = row_of(session.refresh(threads=True), hidden.pid)
    assert (row["comm"], value(row, "ppid")) == (b"hidden", os.getpid())
    assert value(row, "uid") == os.getuid()
    assert value(row, "threads") == 2
    assert value(row, "rss_bytes") >= PAGES * os.sysconf("SC_PAGE_SIZE")
    assert value(row, "virtual_bytes") > value(row, "rss_bytes")
    assert value(row, "minor_faults") is not None


def test_threads_of_a_hidden_process_have_their_time_and_no_more(
    session: Session, hidden: subprocess.Popen[str]
) -> None:
    watch(session, 0.5)
    before = _ran_ns(hidden.pid)
    session.refresh()
    total = lived = covered = whole = 0.0
    for _ in range(8):
        watch(session, 0.25)
        snapshot = session.refresh(threads=True)
        row = row_of(snapshot, hidden.pid)
        total += row["oncpu_ns"]
        covered += row["oncpu_ns"] + row["runq_wait_ns"] + row["offcpu_ns"]
        lived += row["lifetime_ns"]
        whole += snapshot.interval_s * 1e9
        for thread in snapshot.threads.rows():
            if thread["pid"] == hidden.pid:
                own = thread["oncpu_ns"] + thread["runq_wait_ns"] + thread["offcpu_ns"]
                assert own <= 1.01 * snapshot.interval_s * 1e9
    ran = _ran_ns(hidden.pid) - before
    assert total == pytest.approx(ran, abs=2 * TICK_NS)
    assert covered == pytest.approx(lived, rel=0.01)
    assert lived == pytest.approx(2 * whole, rel=0.01)


def test_hidden_process_ends_and_so_do_its_threads(
    session: Session, hidden: subprocess.Popen[str]
) -> None:
    assert hidden.stdin is not None and hidden.stdout is not None
    hidden.stdin.write("\n")
    hidden.stdin.flush()
    assert hidden.stdout.readline() == "one\n"
    # a look at all tasks comes every other second
    for _ in range(40 if EMULATED else 12):
        watch(session, 0.25)
        threads = value(row_of(session.refresh(), hidden.pid), "threads")
        if threads == 1:
            break
    assert threads == 1
    hidden.stdin.write("\n")
    hidden.stdin.close()
    hidden.wait()
    watch(session, 0.25)
    rows = [r for r in session.refresh().processes.rows() if r["pid"] == hidden.pid]
    assert all(row["flags"] & EXITED for row in rows) and len(rows) == 1
    watch(session, 0.25)
    assert not [r for r in session.refresh().processes.rows() if r["pid"] == hidden.pid]


NEVER_TOLD = (
    "syscalls", "syscall_ns", "file_read_bytes", "opens", "net_tx_bytes", "connection_errors",
    "connections", "connections_opened", "mmap_calls", "disk_read_bytes", "disk_reads",
    "disk_written_later_bytes", "disk_written_back_bytes",
)  # fmt: skip


def test_what_no_program_counts_of_a_hidden_process_is_unknown(
    session: Session, hidden: subprocess.Popen[str]
) -> None:
    watch(session, 0.5)
    snapshot = session.refresh(threads=True)
    rows = [row_of(snapshot, hidden.pid)]
    rows += [row for row in snapshot.threads.rows() if row["pid"] == hidden.pid]
    assert len(rows) == 3
    for row in rows:
        assert not [name for name in NEVER_TOLD if row["known"] & 1 << KNOWN_BIT[name]]
        assert all(row["known"] & 1 << KNOWN_BIT[name] for name in ("oncpu_ns", "wait_other_ns"))
    leader = next(row for row in rows[1:] if row["tid"] == hidden.pid)
    assert leader["start_ns"] == rows[0]["start_ns"]


def _keeps(snapshot: Snapshot, pid: int, **keep: object) -> bool:
    query = RowQuery(filter=RowFilter(**keep))  # type: ignore[arg-type]
    said = json.loads(sample_json.sample_line(snapshot, query))
    return any(row["pid"] == pid for row in said["processes"])


def test_filters_name_a_hidden_process_before_and_after_it_is_first_met(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with busy(7, 11) as process:
        time.sleep(0.1)
        process.send_signal(signal.SIGSTOP)  # so that /proc alone tells of it at first
        with hiding(process.pid, monkeypatch, named=process.pid) as session:
            starts = set()
            for turn in range(4):
                watch(session, 0.3)
                snapshot = session.refresh()
                row = row_of(snapshot, process.pid)
                starts.add(row["start_ns"])
                assert bool(row["oncpu_ns"]) == (turn > 0)
                assert _keeps(snapshot, process.pid)
                assert _keeps(snapshot, process.pid, pids=frozenset((process.pid,)))
                assert _keeps(snapshot, process.pid, user="root")
                assert _keeps(snapshot, process.pid, comm="hidden")
                assert not _keeps(snapshot, process.pid, comm="visible")
                process.send_signal(signal.SIGCONT)
            assert len(starts) == 1
            for filter, kept in [
                (KernelFilter(uid=0), True),
                (KernelFilter(uid=65534), False),
                (KernelFilter(pid=os.getpid(), descendants=True), True),
                (KernelFilter(pid=os.getpid()), False),
                (KernelFilter(excluded=(process.pid,)), False),
            ]:
                session.set_filter(filter)
                watch(session, 0.1)
                assert _keeps(session.refresh(), process.pid) == kept, filter


def test_filter_ends_with_the_hidden_process_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with busy(7, 11) as process:
        time.sleep(0.1)
        with hiding(process.pid, monkeypatch, named=process.pid) as session:
            watch(session, 0.3)
            assert _keeps(session.refresh(), process.pid)
            process.kill()
            process.wait()
            for _ in range(3):
                watch(session, 0.2)
                session.refresh()
            found = [one for one in map(Map, sorted(described(os.getpid()))) if one.name == CONFIG]
            # what passes the filter from now on, be it the next process of that number
            assert CONFIG_LAYOUT.column(found[-1].lookup(0), "pid")[0] == NOBODY
            for one in found:
                one.close()


def test_first_interval_of_a_hidden_process_has_no_totals(monkeypatch: pytest.MonkeyPatch) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    with busy(7, 2) as process:
        time.sleep(0.1)
        tasks = [int(task) for task in os.listdir(f"/proc/{process.pid}/task")]
        for turn in range(200):
            for task in tasks:
                os.sched_setaffinity(task, {cpus[turn % len(cpus)]})
            time.sleep(0.003)
        process.send_signal(signal.SIGSTOP)
        with hiding(process.pid, monkeypatch) as session:
            process.send_signal(signal.SIGCONT)
            for _ in range(10):
                watch(session, 0.25)
                snapshot = session.refresh(threads=True)
                rows = [row_of(snapshot, process.pid)]
                rows += [row for row in snapshot.threads.rows() if row["pid"] == process.pid]
                assert len(rows) == 3
                for row in rows:
                    # all are on one CPU, of which the neighbours take their share
                    assert row["migrations"] <= 3
                    assert row["minor_faults"] + row["major_faults"] <= 50
                    assert row["oncpu_ns"] <= 1.1e9 * snapshot.interval_s
                    turns = row["voluntary_switches"]
                    assert turns <= 10 + snapshot.interval_s / 0.009


def test_hidden_process_that_waits_for_its_cpu_is_in_the_run_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with busy(500, 1) as process:
        rival = start("spin", "60000")
        for task in [*os.listdir(f"/proc/{process.pid}/task"), str(rival.pid)]:
            os.sched_setaffinity(int(task), {max(os.sched_getaffinity(0))})
        with hiding(process.pid, monkeypatch) as session:
            first = _waited_ns(process.pid)
            session.refresh()
            second, waited, lived = _waited_ns(process.pid), 0, 0
            for _ in range(8):
                watch(session, 0.25)
                third = _waited_ns(process.pid)
                row = row_of(session.refresh(), process.pid)
                waited, lived = waited + row["runq_wait_ns"], lived + row["lifetime_ns"]
            fourth = _waited_ns(process.pid)
        rival.kill()
        rival.wait()
    assert waited > lived / 8  # of two threads one always waits for something else
    assert third - second - TICK_NS <= waited <= fourth - first + TICK_NS


def _waited_ns(pid: int) -> int:
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[1]) for file in files)
