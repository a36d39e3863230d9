# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The verdict on a soak: what counts as growth, and what as agreement."""

from __future__ import annotations

import pytest
from judging import MIB, Agreement, growths, table, windows


def samples(seconds: int, **values: float) -> list[dict[str, float]]:
    """One a second; each value grows by so much in all, after the first minute."""
    found = []
    for second in range(seconds):
        part = max(0, second - 60) / (seconds - 61)
        found.append({"second": second, **{n: v * part for n, v in values.items()}})
    return found


def test_first_minute_is_left_out_and_windows_hold_whole_rounds() -> None:
    first, last = windows(samples(110, x=0))
    assert [s["second"] for s in first] == list(range(60, 80))
    assert [s["second"] for s in last] == list(range(90, 110))
    first, last = windows(samples(600, x=0))
    assert (first[0]["second"], first[-1]["second"]) == (60, 119)
    assert (last[0]["second"], last[-1]["second"]) == (540, 599)


@pytest.mark.parametrize("seconds", [0, 1, 60, 100])
def test_too_short_a_soak_says_so(seconds: int) -> None:
    with pytest.raises(ValueError, match="two rounds"):
        windows(samples(seconds, x=0))


@pytest.mark.parametrize(
    "name, grown, good",
    [
        ("json resident", 2 * MIB, True),
        ("json resident", 2.5 * MIB, False),
        ("json resident", -9 * MIB, True),
        ("json descriptors", 0, True),
        ("json descriptors", 7, False),
        ("supervisor threads", 3, False),
        ("json map bytes", 8192, False),
    ],
)
def test_memory_may_grow_a_little_and_nothing_else_at_all(
    name: str, grown: float, good: bool
) -> None:
    row = growths(samples(3600, **{name: grown}), [name])[0]
    assert row.good == good
    assert abs(row.grown - grown) <= abs(grown) * 0.03


def test_storm_in_between_is_no_growth() -> None:
    seen = samples(600, x=0)
    seen[300]["x"] = 1000
    row = growths(seen, ["x"])[0]
    assert row.good and row.most == 1000


@pytest.mark.parametrize(
    "kernel, counted, lost, good",
    [
        (100_003, 100_003, 0, True),
        (100_003, 99_904, 0, True),
        (100_003, 99_902, 0, False),
        (100_003, 100_104, 0, False),
        (100_003, 50_001, 50_002, True),
        (101, 81, 0, True),
        (101, 80, 0, False),
    ],
)
def test_counts_agree_when_what_is_missing_is_counted_as_lost(
    kernel: int, counted: int, lost: int, good: bool
) -> None:
    assert Agreement("x", kernel, counted, lost, 0.001).good == good


def test_table_has_its_columns_under_each_other() -> None:
    assert table([("a", 1), ("bcd", 1003)]) == "a       1\nbcd  1003"
