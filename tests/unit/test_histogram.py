# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the tests of the drawing of a latency histogram, and of how latencies are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebtop import units
from ebtop.text import cells
from ebtop.ui.views.histogram import bar, histogram_lines
from ebtop.ui.views.line import line_cells, line_text


def buckets(**counts: int) -> list[int]:
    """`b10=3`: three in bucket 10."""
    whole = [0] * 64
    for name, count in counts.items():
        whole[int(name[1:])] = count
    return whole


def drawn(counts: list[int], width: int = 60, **arguments: object) -> list[str]:
    percentiles = arguments.pop("percentiles", {})
    return [line_text(one) for one in histogram_lines(counts, width, percentiles, **arguments)]  # type: ignore[arg-type]


def test_a_line_a_bucket_of_the_range_that_occurs() -> None:
    lines = drawn(buckets(b10=8, b12=4), 30 + 16)
    assert lines == [
        "[1.02µs, 2.05µs) 8 " + "█" * 27,
        "[2.05µs, 4.10µs) 0 ",
        "[4.10µs, 8.19µs) 4 " + "█" * 13 + "▌",
    ]


def test_percentiles_mark_the_bucket_they_lie_in() -> None:
    percentiles = {"p50": 1023, "p95": 1024, "p99": 2047}
    lines = drawn(buckets(b9=5, b10=5), percentiles=percentiles)
    assert [line.split("█")[-1] for line in lines] == [" p50", " p95 p99"]
    assert max(map(cells, lines)) == 60


def test_a_percentile_of_nothing_at_all_is_in_the_first_bucket() -> None:
    assert drawn(buckets(b0=1), percentiles={"p50": 0})[0].endswith(" p50")
    assert drawn(buckets(b0=1))[0].startswith("[     0,    2ns) 1 ")


def test_neighbours_share_a_line_where_there_is_no_height() -> None:
    whole = drawn(buckets(b10=1, b11=2, b12=3, b13=4, b14=5), height=2)
    assert len(whole) == 2
    assert whole[0].startswith("[1.02µs, 8.19µs) 6 ")
    assert whole[1].startswith("[8.19µs, 65.5µs) 9 ")
    assert drawn(buckets(b10=1), height=0) == []


def test_nothing_is_said_not_drawn() -> None:
    assert drawn([0] * 64) == ["no call returned"]


def test_ascii_has_only_ascii_and_shows_the_smallest() -> None:
    lines = drawn(buckets(b10=1, b11=100_000), ascii=True)
    assert all(line.isascii() for line in lines)
    assert lines[0].endswith(" 1 .")
    assert lines[1].endswith("#")


@pytest.mark.parametrize("share, text", [
    (0, ""), (1e-9, "▏"), (0.125, "▌"), (0.5, "██"), (0.97, "███▉"), (1, "████"),
])  # fmt: skip
def test_a_bar_is_drawn_in_eighths(share: float, text: str) -> None:
    assert bar(share, 4) == text


@given(
    st.lists(st.integers(0, 2**40), min_size=64, max_size=64),
    st.integers(30, 200),
    st.integers(1, 70),
    st.booleans(),
)
def test_nothing_sticks_out_and_no_call_is_left_out(
    counts: list[int], width: int, height: int, ascii: bool
) -> None:
    percentiles = {"p50": 1 << 20, "p95": 1 << 21, "p99": (1 << 64) - 1}
    lines = histogram_lines(counts, width, percentiles, ascii, height)
    assert 1 <= len(lines) <= height
    assert all(line_cells(one) <= width for one in lines)
    if any(counts):
        first = next(index for index, count in enumerate(counts) if count)
        assert sum(counts[first:]) == sum(counts)


@pytest.mark.parametrize("ns, text", [
    (0, "0"), (1, "1ns"), (870, "870ns"), (999, "999ns"), (1000, "1.00µs"), (1024, "1.02µs"),
    (99_960, "100µs"), (131_072, "131µs"), (999_499, "999µs"), (999_501, "1.00ms"),
    (16_777_216, "16.8ms"), (2_100_000_000, "2.10s"), (42_500_000_000, "42.5s"),
    (723_000_000_000, "12m03s"), (1 << 63, "106751d"),
])  # fmt: skip
def test_a_latency_has_three_digits(ns: int, text: str) -> None:
    if ns < 1 << 60:
        assert units.latency(ns) == text
    assert cells(units.latency(ns)) <= 7
    assert units.latency(ns, ascii=True).isascii()
