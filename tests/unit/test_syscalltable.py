# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sentences that must hold of the table of system calls, and of the kernel's filter."""

from __future__ import annotations

import os

import pytest
import synthetic

from ebtop.control.probe_control import ProbeControl, kernel_filter
from ebtop.model import syscallnames
from ebtop.model.filters import KernelFilter, RowFilter
from ebtop.model.syscall_table import (
    BY_NAME,
    COLUMNS,
    NAME_WIDTH,
    call_name,
    fitting,
    histogram,
    order,
    percentiles,
    shown,
)

TABLE = synthetic.calling().syscalls
assert TABLE is not None
READ, EXIT, ODD = 0, 4, 6


def numbers(sort: str, reverse: bool = False) -> list[int]:
    assert TABLE is not None
    return [TABLE.row(index)["number"] for index in order(TABLE, sort, reverse)]


def test_rows_come_largest_first_and_the_unknown_last() -> None:
    assert numbers("calls") == [0, 202, 1, 257, 60, 295, 999]
    assert numbers("total")[0] == 202 and numbers("total")[-1] == 60
    assert numbers("total", reverse=True)[0] == 999 and numbers("total", reverse=True)[-1] == 60
    assert numbers("errors")[:3] == [202, 257, 0]


def test_a_call_that_never_returned_has_a_count_and_nothing_else() -> None:
    assert TABLE is not None
    row = TABLE.row(EXIT)
    values = {column.name: shown(column, row, False) for column in COLUMNS}
    assert values.pop("calls") == "17" and values.pop("errors") == "0"
    assert set(values.values()) == {"-"}
    assert percentiles(row) == {} and sum(histogram(row)) == 0


def test_average_is_total_by_calls() -> None:
    assert TABLE is not None
    row = TABLE.row(READ)
    assert BY_NAME["avg"].value(row) == row["total_ns"] / 1245
    assert sum(histogram(row)) == 1245


def test_names_mark_the_calls_of_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscallnames, "_architecture", lambda compat: ("x86_64", "i386")[compat])
    assert call_name({"number": 257, "compat": 0, "many": 0}) == "openat"
    assert call_name({"number": 295, "compat": 1, "many": 0}) == "openat (32)"
    assert call_name({"number": -1, "compat": 0, "many": 0}) == "syscall_-1"
    assert call_name({"number": 0, "compat": 0, "many": 1}) == "syscall_?"
    assert call_name({"number": 999, "compat": 0, "many": 0}) == "syscall_999"


@pytest.mark.parametrize("width", range(0, 120, 7))
def test_columns_fit_and_calls_stay_longest(width: int) -> None:
    kept = fitting(width)
    assert sum(column.width + 1 for column in kept) <= max(0, width - NAME_WIDTH)
    assert not kept or kept[0].name == "calls"


# ---- what the source is asked ----


class Asked:
    """Notes what it is asked, as a source would do it."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def switch(self, probes: frozenset[str]) -> None:
        self.said.append(probes)

    def set_filter(self, filter: KernelFilter) -> None:
        self.said.append(filter)


def test_probes_are_switched_only_when_that_changes() -> None:
    source = Asked()
    probe_control = ProbeControl(source)  # type: ignore[arg-type]
    for probes in ("", "syscall", "syscall", ""):
        probe_control.run_probes(frozenset(probes.split()))
    assert source.said == [frozenset(), frozenset({"syscall"}), frozenset()]


@pytest.mark.parametrize("text, wanted", [
    ("", KernelFilter()),
    ("pid=41", KernelFilter(pid=41)),
    ("41 43", KernelFilter()),
    ("user=root name=x", KernelFilter(uid=0)),
    ("user=77 pid=5", KernelFilter(pid=5, uid=77)),
    ("user=nobody-has-this-name", KernelFilter()),
])  # fmt: skip
def test_the_kernel_is_told_one_pid_and_one_user(text: str, wanted: KernelFilter) -> None:
    source = Asked()
    ProbeControl(source).set_filter(RowFilter.parse(text), KernelFilter())  # type: ignore[arg-type]
    assert source.said == [wanted]


def test_what_f_does_not_say_stays_in_force() -> None:
    now = KernelFilter(pid=os.getpid(), descendants=True, min_latency_ns=1000)
    same = kernel_filter(RowFilter.parse(str(os.getpid())), now)
    assert same == now
    assert kernel_filter(RowFilter.parse("1"), now) == KernelFilter(pid=1, min_latency_ns=1000)
