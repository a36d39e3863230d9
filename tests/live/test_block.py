# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Disk requests are counted exactly, of a process and of a disk: against what was asked for, and
/proc/diskstats. Latencies are held against the kernel's own trace, request by request.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diskwork import BLOCK, Place, Sums, place, read_direct, untold, write_direct
from fiowork import COUNTS, PROBES
from observe import allowed, row_of, value
from requestlog import RequestLog

from ebtop.model.disk_table import values
from ebtop.model.snapshot import Snapshot
from ebtop.outputs.sample_json import sample_line
from ebtop.sources.bpf import Session


@pytest.fixture(scope="module")
def here() -> Iterator[Place]:
    with place(8192) as found:
        yield found


def exact(row: dict[str, Any], pid: int) -> list[int]:
    """The counts of a process, with what the kernel told no program of (see diskwork.py)."""
    return [row[name] + late for name, late in zip(COUNTS, untold(pid))]


def disk_row(snapshot: Snapshot, name: bytes) -> dict[str, Any]:
    assert snapshot.disks is not None
    return next(row for row in snapshot.disks.rows() if row["name"] == name)


# ---- requests of our own ----


def test_probe_is_complete_here() -> None:
    with Session(PROBES) as session:
        probes = {probe.name: probe for probe in session.refresh().probes}
    assert probes["block"].state == "on", probes["block"].reason
    assert "without" not in probes["block"].hook


def test_own_requests_are_exact(here: Place) -> None:
    with Session(PROBES) as session:
        session.refresh()
        read_direct(here.path, 211, BLOCK)
        write_direct(here.path, 101, 4 * BLOCK)
        row = row_of(session.refresh(), os.getpid())
        counts = exact(row, os.getpid())
        quiet = row_of(session.refresh(), os.getpid())
    assert counts == [211, 211 * BLOCK, 101, 101 * 4 * BLOCK]
    timed = row["disk_timed"]
    assert 250 < timed <= 312
    assert row["disk_latency_min_ns"] <= row["disk_latency_ns"] // timed
    assert row["disk_latency_ns"] // timed <= row["disk_latency_max_ns"]
    assert row["disk_latency_min_ns"] <= row["disk_latency_p99_ns"] <= row["disk_latency_max_ns"]
    # the first of each direction follows nothing
    assert 250 < row["disk_sequential"] <= 210 + 100
    assert value(quiet, "disk_reads") == 0 and quiet["disk_timed"] == 0


def test_scattered_requests_are_not_sequential(here: Place) -> None:
    with Session(PROBES) as session:
        session.refresh()
        read_direct(here.path, 101, BLOCK, step=7 * BLOCK)
        row = row_of(session.refresh(), os.getpid())
        assert exact(row, os.getpid())[0] == 101 and row["disk_sequential"] == 0


def test_percentile_is_that_of_the_kernels_own_trace(here: Place) -> None:
    """Of single requests, with their exact latencies: within the histogram's error."""
    comm = Path("/proc/self/comm").read_text().rstrip("\n")
    Path("/proc/self/comm").write_text("ebtop-requests")
    with Session(PROBES) as session, RequestLog() as log:
        session.refresh()
        read_direct(here.path, 1009, BLOCK)
        row = row_of(session.refresh(), os.getpid())
        told = sorted(log.latencies_ns("ebtop-requests"))
    Path("/proc/self/comm").write_text(comm)
    assert len(told) == 1009 and 950 < row["disk_timed"] <= 1009
    rank = (len(told) * 99 + 99) // 100 - 1
    # two look at the clock one after the other, and a guest may be halted between them
    low, high = told[rank - 4], told[rank + 4]
    assert low / 1.0625 - allowed(3000) <= row["disk_latency_p99_ns"]
    assert row["disk_latency_p99_ns"] <= high * 1.0625 + allowed(3000)
    assert row["disk_latency_min_ns"] == pytest.approx(told[0], abs=allowed(3000))
    assert row["disk_latency_max_ns"] == pytest.approx(told[-1], abs=allowed(30_000))
    assert row["disk_latency_ns"] == pytest.approx(sum(told), rel=0.1, abs=allowed(1e6))


def test_totals_since_the_start_and_since_a_reset(here: Place) -> None:
    with Session(PROBES) as session:
        session.refresh()
        for count in (53, 47):
            read_direct(here.path, count, BLOCK)
            row = row_of(session.refresh(cumulative=True), os.getpid())
        late = untold(os.getpid()).reads
        assert row["disk_reads"] + late == 100 and row["disk_timed"] > 80
        session.refresh(cumulative=True, reset=True)
        read_direct(here.path, 11, BLOCK)
        row = row_of(session.refresh(cumulative=True), os.getpid())
        assert row["disk_reads"] + untold(os.getpid()).reads == 11 + late


def test_request_is_charged_to_its_process_even_when_that_has_ended(here: Place) -> None:
    code = f"import sys; sys.path[:0] = {sys.path!r}; import diskwork;" \
        f" diskwork.read_direct({here.path!r}, 37, 4096)"  # fmt: skip
    with Session(PROBES) as session:
        session.refresh()
        process = subprocess.Popen([sys.executable, "-c", code])
        process.wait()
        row = row_of(session.refresh(), process.pid, gone=True)
        reads, read_bytes, _, _ = exact(row, process.pid)
    # python itself may have been read from the disk
    assert reads >= 37 and read_bytes >= 37 * BLOCK


def test_disks_are_what_the_kernel_says_and_processes_add_up_to_them(here: Place) -> None:
    """Over readers, writers, and what kernel threads write back."""
    with Session(PROBES) as session:
        session.refresh()
        sums = Sums(session)
        kernel_before, late_before = sums.at_rest(here.disk), untold()
        before = dict(sums.disks[here.disk])
        read_direct(here.path, 101, BLOCK)
        write_direct(here.path, 53, BLOCK)
        fd = os.open(here.path, os.O_RDWR)
        for number in range(211):
            os.pwrite(fd, b"x" * BLOCK, number * BLOCK)
        os.sync()
        os.close(fd)
        kernel, late = sums.at_rest(here.disk), untold()
        session.refresh()
        lost = session.refresh().self_cost.lost_total
    after = sums.disks[here.disk]
    for name in late._fields:
        told = getattr(kernel, name) - getattr(kernel_before, name)
        missing = getattr(late, name) - getattr(late_before, name)
        assert after[name] - before[name] + missing == told, name
        assert sums.processes[name] == sum(disk[name] for disk in sums.disks.values()), name
    assert after["writes"] > 40 and after["reads"] > 80 and lost["disk_requests"] == 0


def test_dirtied_pages_are_written_later_and_direct_writes_are_not(here: Place) -> None:
    with Session(PROBES) as session:
        session.refresh()
        fd = os.open(here.path, os.O_RDWR)
        os.pwrite(fd, b"y" * BLOCK * 211, 0)
        row = row_of(session.refresh(), os.getpid())
        later = value(row, "disk_written_later_bytes")
        os.fsync(fd)
        os.close(fd)
        session.refresh()
        write_direct(here.path, 101, 16 * BLOCK)
        direct = value(row_of(session.refresh(), os.getpid()), "disk_written_later_bytes")
    if later is None:
        pytest.skip("this kernel does not count what a task dirties")
    # whole folios are dirtied, and the inode
    assert 211 * BLOCK <= later <= 2 * 211 * BLOCK
    assert direct is not None and direct <= 8 * BLOCK


def test_kernel_threads_are_charged_in_a_row_of_their_own(here: Place) -> None:
    with Session(PROBES) as session:
        session.refresh()
        fd = os.open(here.path, os.O_RDWR)
        os.pwrite(fd, b"z" * BLOCK * 1009, 0)
        os.sync()  # the flusher's threads do it
        os.close(fd)
        snapshot = session.refresh()
    rest = next(row for row in snapshot.processes.rows() if row["pid"] == 0)
    assert rest["comm"] == b"[writeback]" and rest["disk_writes"] > 0
    assert snapshot.system.processes < len(snapshot.processes)


def test_probe_that_comes_and_goes_counts_only_while_it_is_there(here: Place) -> None:
    with Session(["sched", "life", "tasks"]) as session:
        session.refresh()
        read_direct(here.path, 11, BLOCK)
        off = session.refresh()
        assert off.disks is None and value(row_of(off, os.getpid()), "disk_reads") is None
        session.switch(["block"])
        read_direct(here.path, 13, BLOCK)
        first = exact(row_of(session.refresh(), os.getpid()), os.getpid())[0]
        session.switch([])
        read_direct(here.path, 17, BLOCK)
        assert session.refresh().disks is None
        session.switch(["block"])
        read_direct(here.path, 19, BLOCK)
        second = exact(row_of(session.refresh(), os.getpid()), os.getpid())[0]
        total = row_of(session.refresh(cumulative=True), os.getpid())
    assert (first, second) == (13, 19) and 20 < total["disk_reads"] <= 13 + 19


def test_sample_has_the_disks(here: Place) -> None:
    with Session(PROBES) as session:
        session.refresh()
        read_direct(here.path, 101, BLOCK)
        sample = json.loads(sample_line(session.refresh()))
    disk = next(row for row in sample["disks"] if row["name"] == os.fsdecode(here.disk))
    assert disk["reads"] > 80 and disk["read_bytes"] > 80 * BLOCK
    assert disk["latency_min_ns"] <= disk["latency_p50_ns"] <= disk["latency_p99_ns"]
    assert disk["latency_p50_ns"] <= disk["queued_latency_p50_ns"] * 1.13
    assert 0 <= disk["busy_percent"] <= 100 and disk["queue_depth"] >= 0
    own = next(row for row in sample["processes"] if row["pid"] == os.getpid())
    assert 80 < own["disk_reads"] <= 101 and own["disk_sequential_ratio"] > 0.9
    assert all(own[name] is not None for name in own if name.startswith("disk_"))


# ---- what can be said of a disk without the probe ----


def test_proc_source_knows_the_disks_of_diskstats(here: Place) -> None:
    from ebtop.sources.procfs import ProcSource

    with ProcSource() as source:
        source.refresh()
        read_direct(here.path, 101, BLOCK)
        snapshot = source.refresh()
    row = values(disk_row(snapshot, here.disk), snapshot.interval_s)
    assert row["reads"] >= 101 and row["read_bytes"] >= 101 * BLOCK
    assert row["latency_p99_ns"] is None and row["errors"] is None
