# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Requests and latencies are those that fio reports, and queues as deep as it keeps them.

Latencies: the probe's are the device's, from issue to completion; fio's contain them, with the way
into the kernel and back, and the wait for a CPU. So no request of fio's is faster than the fastest
of the probe's, and no percentile of the probe is above that of fio. What they are exactly is held
against the kernel's own trace, request by request, in test_block.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from diskwork import Place, looped, place, stat_of
from fiowork import PROBES, fio, measured, needs_fio, slow
from observe import value

from ebtop.model.disk_table import values
from ebtop.sources.bpf import Session


@pytest.fixture(scope="module")
def here() -> Iterator[Place]:
    with place(8192) as found:
        yield found


DIRECT = [
    ("read", "psync", 1, 4096, 1009), ("randread", "psync", 1, 4096, 1009),
    ("randread", "libaio", 8, 16384, 503), ("randread", "io_uring", 16, 4096, 1009),
    ("write", "psync", 1, 65536, 211), ("randwrite", "psync", 1, 8192, 503),
    ("randwrite", "io_uring", 4, 4096, 503),
]  # fmt: skip


@needs_fio
@slow
@pytest.mark.parametrize(("pattern", "engine", "depth", "size", "count"), DIRECT)
def test_direct_requests_are_those_of_fio(
    here: Place, pattern: str, engine: str, depth: int, size: int, count: int
) -> None:
    options = [f"--rw={pattern}", f"--ioengine={engine}", f"--iodepth={depth}", f"--bs={size}"]
    way = "write" if "write" in pattern else "read"
    for _ in range(3):  # a page of fio itself may have to be read too
        found = measured(here, "--direct=1", *options, f"--number_ios={count}")
        job, row = found.job, found.row
        if row[f"disk_{way}_bytes"] == count * size:
            break
    assert job[way]["total_ios"] == count
    assert row[f"disk_{way}_bytes"] == job[way]["io_bytes"] == count * size
    # neighbours that are under way together may become one request
    merged = count - row[f"disk_{way}s"]
    assert merged == 0 if depth == 1 else 0 <= merged <= count // 20
    sequential = row["disk_sequential"] / row[f"disk_{way}s"]
    assert sequential > 0.98 if pattern == way else sequential < 0.05
    assert found.snapshot.self_cost.lost["disk_requests"] == 0
    if depth == 1:
        assert row["disk_latency_min_ns"] <= job[way]["clat_ns"]["min"]
    assert row["disk_latency_ns"] / row["disk_timed"] <= job[way]["lat_ns"]["mean"] * 1.01


@needs_fio
@slow
def test_no_percentile_is_above_that_of_fio(here: Place) -> None:
    """Large reads one by one: fio's latency is the device's, and the way there and back."""
    options = ("--direct=1", "--rw=randread", "--ioengine=psync", "--bs=512k", "--number_ios=61")
    found = measured(here, *options)
    assert 61 == found.job["read"]["total_ios"] <= found.row["disk_reads"]
    told = found.job["read"]["clat_ns"]["percentile"]["99.000000"]
    assert found.row["disk_latency_p99_ns"] <= told * 1.0625 * 1.02


@needs_fio
@slow
def test_buffered_writes_reach_the_disk_by_whom_it_may_be(here: Place) -> None:
    found = measured(here, "--rw=write", "--bs=64k", "--end_fsync=1")
    assert found.told_bytes("write") == 32 << 20
    charged = found.counted_bytes("write") + found.rest_bytes("write")
    assert charged + found.untold.write_bytes >= 32 << 20
    later = value(found.row, "disk_written_later_bytes")
    assert later is None or later >= 32 << 20


@needs_fio
@slow
def test_depth_is_the_mean_of_the_interval(here: Place) -> None:
    """At its end nothing is under way."""
    with looped(here.path, 32) as device, Session(PROBES) as session:
        fio(device, "--rw=read", "--number_ios=1")
        session.refresh()
        before = stat_of(device.disk)
        fio(device, "--rw=randread", "--direct=1", "--ioengine=libaio", "--iodepth=16",
            "--bs=16k", "--time_based", "--runtime=2")  # fmt: skip
        snapshot, after = session.refresh(), stat_of(device.disk)
    assert snapshot.disks is not None
    row = next(row for row in snapshot.disks.rows() if row["name"] == device.disk)
    found = values(row, snapshot.interval_s)
    assert after.in_flight == 0
    told = (after.queue_ns - before.queue_ns) / 1e9 / snapshot.interval_s
    assert found["queue_depth"] == pytest.approx(told, rel=0.02)
    # fio keeps sixteen under way, but for its start, its end, and the time it takes to ask for more
    assert 3 < found["queue_depth"] <= 16.5
    assert 20 < found["busy_percent"] <= 100
