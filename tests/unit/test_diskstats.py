# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the checks of /proc/diskstats: what its lines say, which disks count, what is added."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebtop.model.disk_table import values
from ebtop.model.layout import DISK, Table
from ebtop.sources.diskstats import DiskStat, DiskStats, disk_rows, joined, parse_diskstats

OLD = b"   8       0 sda 101 3 808 50 53 2 1696 70 1 90 120\n"
NEW = OLD[:-1] + b" 7 0 56 9 4 11\n"


def test_lines_of_old_and_new_kernels() -> None:
    whole = DiskStat(101, 808 * 512, 53, 1696 * 512, 1, 90_000_000, 120_000_000)
    assert parse_diskstats(OLD) == {b"sda": whole}
    discards = whole._replace(discards=7, discard_bytes=56 * 512)
    assert parse_diskstats(NEW) == {b"sda": discards}


@pytest.mark.parametrize(
    "line", [b"8 0 sda 1 2 3", b"8 0 sda -1 3 808 50 53 2 1696 70 1 90 120", b"", b"\0" * 90]
)
def test_a_line_that_no_kernel_writes_is_left_out(line: bytes) -> None:
    assert parse_diskstats(line + b"\n" + OLD).keys() == {b"sda"}
    assert parse_diskstats(None) == {}


@given(st.binary(max_size=300))
def test_any_bytes_can_be_read(data: bytes) -> None:
    for stat in parse_diskstats(data + b"\n" + OLD).values():
        assert all(value >= 0 for value in stat)


class Machine:
    """A /proc and a /sys in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "sys" / "block").mkdir(parents=True)
        self.stats = DiskStats(str(folder), str(folder / "sys"))

    def disk(self, name: str, *slaves: str) -> None:
        below = self.folder / "sys" / "block" / name.replace("/", "!") / "slaves"
        below.mkdir(parents=True)
        for slave in slaves:
            (below / slave).mkdir()

    def write(self, **reads: int) -> None:
        lines = [
            f"8 0 {n.replace('__', '/')} {r} 0 {8 * r} 0 0 0 0 0 2 {r} {3 * r}"
            for n, r in reads.items()
        ]
        (self.folder / "diskstats").write_text("\n".join(lines))


def test_parts_stacked_and_unused_disks_are_left_out(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.disk("sda")
    machine.disk("cciss/c0d0")
    machine.disk("dm-0", "sda")
    machine.disk("loop0")
    machine.write(sda=3, sda1=3, cciss__c0d0=1, loop0=0, **{"dm-0": 3})
    assert machine.stats.refresh(False, False).keys() == {b"sda", b"cciss/c0d0"}


def test_what_counts_is_growth_of_the_interval_or_since_the_reset(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.disk("sda")
    machine.write(sda=100)
    assert machine.stats.refresh(False, False)[b"sda"].reads == 0
    machine.write(sda=107)
    grown = machine.stats.refresh(False, False)[b"sda"]
    assert grown == DiskStat(7, 7 * 4096, 0, 0, 2, 7_000_000, 21_000_000)
    machine.write(sda=110)
    assert machine.stats.refresh(True, True)[b"sda"].reads == 10
    machine.write(sda=112)
    assert machine.stats.refresh(True, False)[b"sda"].reads == 2
    # a disk that came anew under the same name
    machine.write(sda=5)
    assert machine.stats.refresh(False, False)[b"sda"].reads == 0


def test_depth_is_a_mean_also_of_requests_that_are_not_done(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.disk("sda")
    machine.write(sda=100)
    machine.stats.refresh(False, False)
    began = time.monotonic_ns()
    time.sleep(0.05)
    waiting = machine.stats.refresh(False, False)[b"sda"].queue_ns
    # the kernel adds what a request took only when it is done: until then, the two that wait count
    assert 2 * 50_000_000 <= waiting <= 2 * (time.monotonic_ns() - began) + 1_000_000
    machine.write(sda=100 + waiting // 3_000_000 + 7)
    done = machine.stats.refresh(False, False)[b"sda"].queue_ns
    assert waiting + done == (waiting // 3_000_000 + 7) * 3_000_000


def test_without_the_files_nothing_is_known(tmp_path: Path) -> None:
    assert DiskStats(str(tmp_path), str(tmp_path)).refresh(False, False) == {}
    assert len(disk_rows({})) == 0


def test_rows_of_the_probe_get_what_only_the_files_say() -> None:
    probed = Table(DISK, DISK.pack({"name": b"hidden", "known": 3, "reads": 5}))
    told = {b"sda": DiskStat(7, 7 * 4096, 0, 0, 2, 130_000_000, 1_500_000_000)}
    hidden, sda = joined(probed, told).rows()
    assert values(hidden, 1.0)["reads"] == 5 and values(hidden, 1.0)["busy_percent"] is None
    # the probe saw no request of it, and that is what counts
    assert values(sda, 1.0)["reads"] == 0 and values(sda, 1.0)["queue_depth"] == 1.5
    assert values(sda, 1.0)["busy_percent"] == 13.0 and values(sda, 0.0)["busy_percent"] is None
    (alone,) = disk_rows(told).rows()
    assert values(alone, 1.0)["reads"] == 7 and values(alone, 1.0)["errors"] is None
