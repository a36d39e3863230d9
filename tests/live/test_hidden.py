# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A process that no program sees: its tasks are in no iteration, and no program runs while it is
current.

Some sandboxes have one (pid 1), and there it can be met but not made. Here programs are told to
leave a process out just so. What it is comes from /proc then, and its neighbour on the CPU has all
its time.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from observe import EMULATED, row_of, start, unexpected, value, watch, workload

from ebtop.layout import EXITED
from ebtop.session import Session

TICK_NS = 10_000_000
"""The kernel brings the execution time of what runs up to date at each tick."""
PAGES = 1009


def _take_cpu(pid: int, priority: int) -> None:
    """One CPU before all others: nobody but the two of a test switches there, or nearly so."""
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), {max(os.sched_getaffinity(0))})
        os.sched_setscheduler(int(task), os.SCHED_FIFO, os.sched_param(priority))


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
