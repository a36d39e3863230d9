# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the checks of columns and units: names, widths, unknown values, wording of numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import synthetic

from ebtop import units
from ebtop.errors import UsageError
from ebtop.model import process_table
from ebtop.model.layout import COUNTERS
from ebtop.model.process_table import COLUMNS, SETS, Context, by_name, fitting
from ebtop.text import cells

SNAPSHOT = synthetic.office()


def test_names_are_unique_and_every_column_is_in_a_set() -> None:
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)
    assert {column.name for chosen in SETS for column in chosen} == set(process_table.BY_NAME)


def test_titles_fit_their_columns_and_help_exists() -> None:
    for column in COLUMNS:
        assert len(column.title) <= column.width
        assert column.help and column.probe and column.provenance


def test_counters_are_marked_as_such() -> None:
    for column in COLUMNS:
        # connections are those that are open: no sum over time
        assert column.counter == (column.field in COUNTERS and column.field != "connections")


def test_unknown_column_error_names_the_allowed() -> None:
    with pytest.raises(UsageError, match=r"no column bo\\x1bgus; there are pid, user, cpu"):
        by_name("bo\x1bgus")


@pytest.mark.parametrize("chosen", SETS)
def test_narrow_screens_keep_pid_cpu_and_command(chosen: tuple[process_table.Column, ...]) -> None:
    for width in range(1, 300):
        names = [column.name for column in fitting(chosen, width)]
        assert names[0] == "pid" and names[-1] == "cmd" and "cpu" in names
        if width >= 39:
            assert sum(column.width + 1 for column in fitting(chosen, width)) - 1 <= width
    assert fitting(chosen, 159) == chosen


def test_unknown_values_are_a_dash_never_a_zero() -> None:
    row = synthetic.table([synthetic.process(5, b"who", known=0)]).row(0)
    for column in COLUMNS:
        shown = column.show(row, Context(SNAPSHOT))
        assert shown == {"pid": "5", "cmd": "[who]"}.get(column.name, "-"), column.name


def test_each_unknown_counter_is_a_dash_alone() -> None:
    for column in COLUMNS:
        if not column.counter:
            continue
        known = synthetic.ALL_KNOWN & ~column.known_bit
        row = synthetic.table([synthetic.running(5, b"x", 100, known=known)]).row(0)
        assert column.show(row, Context(SNAPSHOT)) == "-"


def test_cpu_is_time_on_cpu_by_interval() -> None:
    row = synthetic.table([synthetic.running(5, b"x", 1500)]).row(0)
    assert process_table.cpu_percent(row, 1.0) == pytest.approx(150.0)
    assert process_table.cpu_percent(row, 3.0) == pytest.approx(50.0)
    assert process_table.cpu_percent(row, 0.0) is None


@pytest.mark.parametrize(("code", "status"), [(0, 0), (3 << 8, 3), (9, 137), (139, 139)])
def test_exit_status_is_what_a_shell_shows(code: int, status: int) -> None:
    assert process_table.exit_status(code) == status


def test_command_line_comes_from_the_process_before_its_exec_event() -> None:
    text = b"??sh\0-c\0true\0"
    row = synthetic.table([synthetic.process(9, b"sh", text=2, text_bytes=11)]).row(0)
    snapshot = synthetic.snapshot([], text=text)
    assert process_table.command(row, Context(snapshot)) == "sh -c true"
    read = {(9, row["start_ns"]): b"renamed\0x\0"}
    assert process_table.command(row, Context(snapshot, read)) == "renamed x"


def test_arguments_that_were_cut_say_so() -> None:
    given = synthetic.process(9, b"sh", text=0, text_bytes=4, flags=process_table.ARGS_CUT)
    row = synthetic.table([given]).row(0)
    assert process_table.command(row, Context(synthetic.snapshot([], text=b"sh\0-"))) == "sh - ..."


def test_what_has_ended_says_how() -> None:
    row = synthetic.table([synthetic.exited(9, b"sh", 9)]).row(0)
    assert process_table.command(row, Context(SNAPSHOT)) == "(signal 9) [sh]"
    assert process_table.state_letter(row) == "X"


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0"), (999, "999ns"), (1_000, "1us"), (9_990_000, "9.9ms"), (450_000_000, "450ms"),
     (2_100_000_000, "2.10s"), (59_990_000_000, "59.9s"), (60_000_000_000, "1m00s"),
     (3_600_000_000_000, "1h00m"), (1_036_800_000_000_000, "12d00h")],
)  # fmt: skip
def test_durations(ns: int, text: str) -> None:
    assert units.duration(ns) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (1023, "1023B"), (1024, "1.0K"), (12 << 20, "12M")]
)  # fmt: skip
def test_sizes(count: int, text: str) -> None:
    assert units.size(count) == text


def test_numbers_never_outgrow_their_cells() -> None:
    for power in range(62):  # a century in ns
        for number in (2**power - 1, 2**power, 2**power + 2 ** (power // 2)):
            assert number >= 10**18 or cells(units.duration(number)) <= 6
            assert cells(units.size(number)) <= 5
            assert number >= 10**17 or cells(units.count(number)) <= 6


def test_cumulative_cpu_percent_is_of_the_time_since_the_start() -> None:
    snapshot = replace(
        SNAPSHOT, cumulative=True, interval_s=0.1, taken_ns=9 * 10**9, since_ns=10**9
    )
    row = {"known": 1, "oncpu_ns": 4 * 10**9}
    assert process_table.cpu_percent(row, snapshot.counted_s) == 50.0
    assert replace(snapshot, cumulative=False).counted_s == 0.1


@pytest.mark.parametrize("name", [c.name for c in COLUMNS if c.rate])
def test_what_is_by_the_second_is_of_the_real_interval(name: str) -> None:
    column = by_name(name)
    of_bytes = column.field.endswith("_bytes")
    amount = 8 << 20 if of_bytes else 4000
    row = synthetic.running(7, b"busy", 100, known=(1 << 64) - 1, **{column.field: amount})
    for seconds, shown in ((1.0, "8.0M"), (2.0, "4.0M"), (0.25, "32M")):
        snapshot = replace(synthetic.office(), interval_s=seconds)
        expected = shown if of_bytes else str(int(4000 / seconds))
        assert column.show(row, Context(snapshot)).strip() == expected


@pytest.mark.parametrize("name", [c.name for c in COLUMNS if c.rate])
def test_totals_are_sums_and_their_titles_do_not_promise_a_rate(name: str) -> None:
    column = by_name(name)
    of_bytes = column.field.endswith("_bytes")
    row = synthetic.running(7, b"busy", 100, known=(1 << 64) - 1, **{column.field: 8192})
    snapshot = replace(synthetic.office(), cumulative=True, since_ns=0)
    (shown,) = process_table.as_in((column,), snapshot)
    assert shown.show(row, Context(snapshot)) == ("8.0K" if of_bytes else "8192")
    assert column.title == shown.title + "/S"
    assert process_table.as_in((column,), synthetic.office()) == (column,)


def test_no_counter_of_an_interval_is_a_plain_sum_but_for_times_and_shares() -> None:
    for column in COLUMNS:
        if column.counter and not column.rate:
            assert column.field.endswith("_ns") or column.title.endswith("%"), column.name


def test_segments_sent_again_are_a_share_of_those_sent() -> None:
    column = by_name("retx")
    known = synthetic.ALL_KNOWN | synthetic.NET_KNOWN
    sent = synthetic.running(7, b"tx", 1, known=known, retransmits=13, segments=1040)
    for changes, shown in (
        ({}, "!1.2"), ({"retransmits": 0}, "0.0"), ({"retransmits": 0, "segments": 0}, "-"),
        ({"known": synthetic.ALL_KNOWN}, "-"), ({"retransmits": 5, "segments": 3}, "!100.0"),
    ):  # fmt: skip
        assert column.show({**sent, **changes}, Context(SNAPSHOT)) == shown


@pytest.mark.parametrize(
    ("rate", "text"),
    [(0, "0"), (0.0003, "<.01"), (0.01, "0.01"), (0.094, "0.09"), (0.1, "0.1"), (99.9, "99.9"),
     (99.96, "100"), (123456.0, "123k")],
)  # fmt: skip
def test_a_small_rate_does_not_look_like_none(rate: float, text: str) -> None:
    assert units.rate(rate) == text
