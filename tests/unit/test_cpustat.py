# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The machine's CPUs from /proc/stat: parts that add up, guests, CPUs that come and go."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import pytest

from ebtop.model.snapshot import CpuParts
from ebtop.sources.cpustat import CpuStat
from ebtop.sources.procparse import CPU_PARTS

SECOND = 1_000_000_000


def parts_of(folder: Path, *texts: str, every_ns: int = SECOND) -> Optional[CpuParts]:
    stat = CpuStat(str(folder))
    found = None
    for turn, text in enumerate(texts):
        (folder / "stat").write_text(text)
        found = stat.refresh(turn * every_ns)[1]
    return found


def line(cpu: int, *ticks: int) -> str:
    return f"cpu{cpu} {' '.join(map(str, ticks))}\n"


def test_parts_add_up_to_all_cpus_and_guests_are_counted_once(tmp_path: Path) -> None:
    before = line(0, *[100] * 10) + line(1, *[100] * 10)
    # user nice system idle iowait irq softirq steal guest guest_nice
    after = line(0, 130, 110, 105, 140, 110, 101, 102, 102, 120, 105)
    after += line(1, 100, 100, 100, 200, *[100] * 6)
    parts = parts_of(tmp_path, before, after)
    assert parts is not None
    assert parts.user == pytest.approx(10) and parts.nice == pytest.approx(5)
    assert parts.guest == pytest.approx(25)
    assert (parts.irq, parts.softirq, parts.steal) == pytest.approx((1, 2, 2))
    assert (parts.iowait, parts.idle) == pytest.approx((10, 40 + 100))
    assert sum(getattr(parts, name) for name in CPU_PARTS) == pytest.approx(200)
    assert parts.busy + parts.iowait + parts.idle == pytest.approx(200)


def test_a_cpu_that_comes_is_known_one_interval_later(tmp_path: Path) -> None:
    stat = CpuStat(str(tmp_path))
    known = []
    for turn, text in enumerate((
        line(0, 1, 0, 0, 9), line(0, 2, 0, 0, 18) + line(1, 50, 0, 0, 0),
        line(0, 3, 0, 0, 27) + line(1, 60, 0, 0, 0), line(0, 4, 0, 0, 36),
    )):  # fmt: skip
        (tmp_path / "stat").write_text(text)
        rows = stat.refresh(turn * SECOND)[0].rows()
        known.append({row["cpu"]: row["known"] for row in rows})
    assert known == [{0: 0}, {0: 1, 1: 0}, {0: 1, 1: 1}, {0: 1}]


def test_an_interval_shorter_than_five_ticks_shows_the_one_before(tmp_path: Path) -> None:
    texts = [line(0, user, 0, 0, 1000 - user) for user in (0, 25, 25)]
    stat = CpuStat(str(tmp_path))
    shares = []
    for moment, text in zip((0, SECOND, SECOND + 5_000_000), texts):
        (tmp_path / "stat").write_text(text.replace("1000", "0"))
        shares.append(stat.refresh(moment)[1])
    assert shares[0] is None and shares[1] == shares[2]


def test_idle_time_that_goes_back_is_no_time(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, line(0, 10, 0, 0, 50, 9), line(0, 20, 0, 0, 45, 5))
    assert parts is not None and (parts.user, parts.idle, parts.iowait) == (100, 0, 0)


@pytest.mark.parametrize("text", ["", "cpu0\n", "cpu0 x 1 1 1\n", "cpu 1 1 1 1\n", "intr 5\n"])
def test_what_the_kernel_does_not_write_is_unknown(tmp_path: Path, text: str) -> None:
    assert parts_of(tmp_path, text, text) is None
