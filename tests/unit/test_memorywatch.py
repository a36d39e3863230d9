# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Whose memory is followed: who maps more than it unmaps, and the one looked at; nobody else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import pytest
import synthetic

from ebtop.model.layout import EXITED, NOT_COUNTED, RAN, SIZES, Table
from ebtop.model.memorywatch import IDLE_S, MemoryWatch
from ebtop.model.process_table import BY_NAME, Context
from ebtop.model.snapshot import ProbeStatus, Snapshot
from ebtop.outputs.memoryhints import fragments_of, leak_words, size_classes, watch_words
from ebtop.sources.cgroups import CgroupPaths
from ebtop.sources.memorylimits import Limits

MIB = 1 << 20
MEM = ProbeStatus("mem", "on", "tp_btf/sys_enter", None, 1, 1)
Row = dict[str, Any]


def snapshot(second: int, rows: list[Row], **changes: Any) -> Snapshot:
    base = synthetic.snapshot(rows, probes=(*synthetic.PROBES, MEM), **changes)
    return replace(base, taken_ns=second * 10**9)


def growing(second: int, pid: int = 7, rate: int = MIB, **values: Any) -> Row:
    given = {"rss_anon_bytes": second * rate + 50 * MIB, "allocated_bytes": rate, "flags": RAN}
    return synthetic.process(pid, b"grows", **{**given, **values})


def told(watch: MemoryWatch, seconds: range, **changes: Any) -> Snapshot:
    for second in seconds:
        last = watch.watch(snapshot(second, [growing(second), synthetic.process(9)], **changes))
    return last


def key(pid: int) -> tuple[int, int]:
    return (pid, pid * 1_000_003)


def test_a_leak_is_named_within_a_minute_with_what_is_left() -> None:
    watch = MemoryWatch(lambda cgroup, snapshot: ("cgroup", cgroup * 120 * MIB))
    assert not told(watch, range(47)).leaks
    found = told(watch, range(47, 60))
    assert found.leaks is not None and list(found.leaks) == [key(7)]
    leak = found.leaks[key(7)]
    assert (leak.limit, leak.room_bytes) == ("cgroup", 77 * 120 * MIB)
    assert leak.full_s == pytest.approx(77 * 120)
    assert "77 * 120" not in "".join(leak_words(leak)) and "2h34m" in "".join(leak_words(leak))


def test_it_is_named_as_long_as_it_goes_on() -> None:
    watch = MemoryWatch()
    told(watch, range(60))
    for second in range(60, 100):
        row = growing(60, allocated_bytes=0)
        found = watch.watch(snapshot(second, [row]))
    assert found.leaks == {}


def test_sleepers_and_steady_ones_are_not_kept() -> None:
    watch = MemoryWatch()
    steady = growing(0, 8, allocated_bytes=MIB, freed_bytes=MIB)
    for second in range(20):
        watch.watch(snapshot(second, [steady, synthetic.process(9, allocated_bytes=5)]))
    assert not watch._followed
    for second in range(20, 25 + int(IDLE_S)):
        once = growing(0, 8, allocated_bytes=2 * MIB if second == 20 else 0)
        watch.watch(snapshot(second, [once]))
    assert not watch._followed


def test_who_ended_is_forgotten() -> None:
    watch = MemoryWatch()
    told(watch, range(10))
    assert list(watch._followed) == [key(7)]
    watch.watch(snapshot(11, [growing(11, flags=RAN | EXITED)]))
    assert not watch._followed


def test_totals_since_the_start_say_the_same_and_a_reset_does_no_harm() -> None:
    watch = MemoryWatch()
    for second in range(60):
        total = (second - 30 * (second > 30)) * MIB
        row = growing(second, allocated_bytes=total)
        since = 0 if second <= 30 else 30 * 10**9
        found = watch.watch(snapshot(second, [row], cumulative=True, since_ns=since))
    assert found.leaks is not None
    assert found.leaks[key(7)].unreturned_bytes == pytest.approx(58 * MIB, abs=2 * MIB)


def test_while_the_probe_is_shed_time_stands_still() -> None:
    watch = MemoryWatch()
    told(watch, range(30))
    for second in range(34, 300, 5):
        row = growing(second * 2, known=synthetic.ALL_KNOWN - synthetic.MEM_KNOWN)
        off = replace(snapshot(second, [row]), probes=synthetic.PROBES)
        assert watch.watch(off).leaks is None
    for second in range(300, 317):
        found = watch.watch(snapshot(second, [growing(second + 299)]))
        assert found.leaks == {}
    for second in range(317, 322):
        found = watch.watch(snapshot(second, [growing(second + 299)]))
    assert found.leaks is not None and found.leaks[key(7)].span_s == pytest.approx(50, abs=2)
    assert found.leaks[key(7)].bytes_per_s == pytest.approx(MIB, rel=0.05)
    for second in range(322, 1300, 50):
        watch.watch(replace(snapshot(second, [growing(0)]), probes=synthetic.PROBES))
    assert not watch._followed


def test_without_the_probe_nothing_is_said() -> None:
    watch = MemoryWatch()
    for second in range(70):
        base = replace(snapshot(second, [growing(second)]), probes=synthetic.PROBES)
        found = watch.watch(base)
    assert found.leaks is None and found.memory_history == ()


@pytest.mark.parametrize("known", [0, synthetic.ALL_KNOWN])
def test_unknown_memory_is_not_followed(known: int) -> None:
    watch = MemoryWatch()
    for second in range(5):
        watch.watch(snapshot(second, [growing(second, rss_anon_bytes=NOT_COUNTED, known=known)]))
    assert not watch._followed


def test_the_one_that_is_looked_at_has_a_history_whatever_it_does() -> None:
    watch = MemoryWatch()
    watch.look_at(key(9))
    for second in range(90):
        sleeper = synthetic.process(9, rss_anon_bytes=3 * MIB)
        found = watch.watch(replace(snapshot(second, [sleeper]), probes=synthetic.PROBES))
    assert {point.resident for point in found.memory_history} == {3 * MIB}
    times = [point.time_s for point in found.memory_history]
    assert times == sorted(set(times)) and times[0] == 0 and times[-1] == 89


# ---- limits ----


def limits(folder: Path) -> Limits:
    inner = folder / "outer" / "inner"
    inner.mkdir(parents=True)
    for path, limit, used in ((inner, b"max\n", b"7\n"), (inner.parent, b"1000\n", b"400\n")):
        (path / "memory.max").write_bytes(limit)
        (path / "memory.current").write_bytes(used)
    return Limits(CgroupPaths(str(folder).encode()))


@pytest.mark.parametrize(
    ("available", "expected"),
    [(10_000, ("cgroup", 600)), (500, ("machine", 500)), (None, ("cgroup", 600))],
)
def test_the_nearest_limit_counts(
    tmp_path: Path, available: Optional[int], expected: tuple[str, int]
) -> None:
    found = limits(tmp_path)
    base = synthetic.office()
    base = replace(base, host=replace(base.host, memory_available_bytes=available))
    assert found.room((tmp_path / "outer" / "inner").stat().st_ino, base) == expected


def test_unknown_cgroups_leave_the_machine(tmp_path: Path) -> None:
    base = synthetic.office()
    assert limits(tmp_path).room(1, base) == ("machine", base.host.memory_available_bytes)
    nothing = replace(base, host=replace(base.host, memory_available_bytes=None))
    assert Limits(CgroupPaths(b"/nowhere")).room(1, nothing) == (None, None)


# ---- beside the row ----


def test_sizes_are_found_by_process() -> None:
    table = Table(SIZES, SIZES.pack({"pid": 7, "start_ns": 7 * 1_000_003, "sizes_2": 5}))
    assert size_classes(table, synthetic.process(7))[:4] == (0, 0, 5, 0)
    assert size_classes(table, synthetic.process(8)) == ()


def test_mappings_that_are_unknown_are_no_fragments() -> None:
    assert fragments_of(synthetic.process(7, mappings=NOT_COUNTED)) is None
    assert fragments_of(synthetic.process(7, mappings=30_000, known=0)) is None
    assert fragments_of(synthetic.process(7, mappings=30_000)) is not None


def test_it_says_that_it_is_still_watching_and_for_how_long() -> None:
    watch = MemoryWatch()
    found = told(watch, range(41))
    row = growing(40)
    assert watch_words(found.memory_watched[key(7)]) == "watching 40 of 48 s"
    assert BY_NAME["leak"].show(row, Context(found)) == "40/48s"
    # of one that does not grow there is nothing to wait for
    assert key(9) not in found.memory_watched
    still = synthetic.process(9, rss_anon_bytes=MIB)
    assert BY_NAME["leak"].show(still, Context(found)) == "no"


@pytest.mark.parametrize("values, words", [
    ({"rss_anon_bytes": 50 * MIB}, "mapped and never touched"),
    ({"rss_anon_bytes": 50 * MIB, "shared": True}, "shared memory"),
    ({}, None),
])  # fmt: skip
def test_memory_that_is_shared_or_never_touched_is_told_apart(
    values: dict[str, Any], words: Optional[str]
) -> None:
    watch = MemoryWatch()
    values = dict(values)
    shared = values.pop("shared", False)
    for second in range(60):
        row = growing(second, rss_shmem_bytes=second * MIB if shared else 0, **values)
        found = watch.watch(snapshot(second, [row]))
    assert found.leaks is not None
    if words is None:
        assert key(7) in found.leaks
        return
    assert not found.leaks
    assert words in watch_words(found.memory_watched[key(7)])
    assert BY_NAME["leak"].show(row, Context(found)) == "no"
