# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the checks of the model: order, ties, filters, trees, and that idle rows cost nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import synthetic

from ebtop.errors import UsageError
from ebtop.model.filters import KernelFilter, RowFilter
from ebtop.model.layout import FOLLOWED, RAN, ROW
from ebtop.model.process_table import COLUMNS, Context, by_name
from ebtop.model.rows import Order, RowQuery, order_rows
from ebtop.model.snapshot import Snapshot


def order(snapshot: Snapshot, sort: str = "cpu", **wanted: Any) -> Order:
    return order_rows(RowQuery(by_name(sort), **wanted), Context(snapshot))


def pids(snapshot: Snapshot, sort: str = "cpu", **wanted: Any) -> list[int]:
    shown = order(snapshot, sort, **wanted)
    return [shown.table.row(index)["tid"] for index in shown.window(0, len(shown))]


def test_largest_first_then_idle_by_pid() -> None:
    assert pids(synthetic.office()) == [501, 500, 412, 1, 600, 601, 602, 700, 2, 14, 310, 413, 800]


def test_reverse_is_smallest_first_and_ties_stay_by_pid() -> None:
    shown = pids(synthetic.office(), reverse=True)
    assert shown[-4:] == [1, 412, 500, 501]
    assert shown[:5] == [2, 14, 310, 413, 800]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: str(column.name))
@pytest.mark.parametrize("reverse", [False, True])
def test_every_column_sorts_every_row_once(column: Any, reverse: bool) -> None:
    office = synthetic.office()
    assert sorted(pids(office, column.name, reverse=reverse)) == sorted(pids(office))


@pytest.mark.parametrize("sort", ["rss", "ppid", "thr", "offcpu", "start"])
def test_unknown_values_come_last_either_way(sort: str) -> None:
    for reverse in (False, True):
        assert pids(synthetic.office(), sort, reverse=reverse)[-1] == 800


def test_the_largest_age_is_the_oldest() -> None:
    assert pids(synthetic.office(), "start")[:3] == [1, 2, 14]


def test_totals_sort_the_idle_rows_too() -> None:
    rows = [synthetic.running(9, b"now", 10), synthetic.process(5, b"before", oncpu_ns=10**12)]
    assert pids(synthetic.snapshot(rows, cumulative=True)) == [5, 9]


def test_no_row_is_unpacked_to_sort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ROW, "unpack", lambda *_: pytest.fail("a row was unpacked"))
    crowd = synthetic.crowd(2000)
    for column in COLUMNS:
        shown = order_rows(RowQuery(column), Context(crowd))
        assert len(shown.window(1990, 100)) == 30


def test_window_and_position_agree() -> None:
    office = synthetic.crowd(50)
    for sort in ("cpu", "rss", "pid"):
        for reverse in (False, True):
            shown = order(office, sort, reverse=reverse)
            for place, index in enumerate(shown.window(0, len(shown))):
                row = shown.table.row(index)
                assert shown.position((row["pid"], row["start_ns"], row["tid"])) == place
                assert shown.window(place, 1) == [index]


def test_a_reused_pid_is_somebody_else() -> None:
    crowd = synthetic.crowd(50)
    assert order(crowd).position((1005, 1, 1005)) is None
    assert order(crowd).position((99999, 1, 99999)) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("412", [412]),
        ("412,500 310", [500, 412, 310]),
        ("user=root", [1, 2, 14, 310]),
        ("user=33", [412, 413]),
        ("user=nobody-here", []),
        ("NGINX", [412, 413]),
        ("name=nginx user=www-data 413", [413]),
        ("", [501, 500, 412, 1, 600, 601, 602, 700, 2, 14, 310, 413, 800]),
    ],
)
def test_filters(text: str, found: list[int]) -> None:
    assert pids(synthetic.office(), filter=RowFilter.parse(text)) == found


@pytest.mark.parametrize("text", ["pid=x", "port=http", "port=70000", "99999999", "pid=-1"])
def test_bad_filter_says_what_is_allowed(text: str) -> None:
    with pytest.raises(UsageError, match=r"user=NAME name=TEXT port=N"):
        RowFilter.parse(text)


def test_hostile_filter_text_matches_bytes() -> None:
    office = synthetic.snapshot([synthetic.running(5, b"caf\xe9", 5)])
    assert pids(office, filter=RowFilter.parse("caf\udce9")) == [5]


def test_children_stand_under_their_parent() -> None:
    shown = order(synthetic.office(), tree=True)
    found = {shown.table.row(index)["pid"]: branch for index, branch in shown.branches.items()}
    assert found[1] == "" and found[2] == "" and found[413] == "│  └─ "
    walk = list(found)
    assert walk.index(501) == walk.index(310) + 1 and walk.index(600) == walk.index(501) + 1


def test_parents_in_a_circle_lose_nobody() -> None:
    rows = [synthetic.process(pid, ppid=parent) for pid, parent in ((2, 3), (3, 4), (4, 2), (5, 5))]
    assert sorted(pids(synthetic.snapshot(rows), tree=True)) == [2, 3, 4, 5]


def test_a_deep_tree_needs_no_deep_stack() -> None:
    rows = [synthetic.process(pid, ppid=pid - 1) for pid in range(1, 3000)]
    assert len(pids(synthetic.snapshot(rows), tree=True)) == 2999


def test_the_row_of_no_process_is_nobodys_parent() -> None:
    rows = [synthetic.running(0, b"[writeback]", 0), synthetic.running(1, b"init", 3, ppid=0)]
    order = order_rows(RowQuery(by_name("cpu"), tree=True), Context(synthetic.snapshot(rows)))
    assert set(order.branches.values()) == {""}


def test_two_rows_of_one_pid_are_both_in_the_tree() -> None:
    rows = [synthetic.exited(9, b"old", start_ns=5), synthetic.running(9, b"new", 3, start_ns=7)]
    assert pids(synthetic.snapshot(rows), tree=True) == [9, 9]


def test_threads_are_rows_of_their_own_table() -> None:
    rows = [synthetic.running(5, b"x", 10 + tid, tid=tid) for tid in (5, 6, 7)]
    snapshot = replace(synthetic.office(), threads=synthetic.table(rows))
    assert pids(snapshot, threads=True) == [7, 6, 5]
    assert pids(snapshot, threads=True, filter=RowFilter.parse("5")) == [7, 6, 5]


def _held(filter: KernelFilter, wanted: RowFilter = RowFilter()) -> list[int]:  # noqa: B008
    """The pids that are shown while that filter is in force in the kernel."""
    rows = [
        synthetic.running(100, b"one", 5, uid=0),
        synthetic.running(101, b"child", 4, uid=1000, flags=RAN | FOLLOWED),
        synthetic.running(102, b"other", 3, uid=1000),
    ]
    snapshot = replace(synthetic.snapshot(rows), filter=filter)
    order = order_rows(RowQuery(by_name("pid"), True, wanted), Context(snapshot))
    return [order.table.row(index)["pid"] for index in order.window(0, 9)]


def test_a_filter_that_another_process_set_chooses_rows_too() -> None:
    assert _held(KernelFilter()) == [100, 101, 102]
    assert _held(KernelFilter(pid=100)) == [100]
    assert _held(KernelFilter(pid=100, descendants=True)) == [100, 101]
    assert _held(KernelFilter(uid=1000)) == [101, 102]
    assert _held(KernelFilter(uid=1000), RowFilter(comm="oth")) == [102]
    assert _held(KernelFilter(excluded=(101,))) == [100, 102]
    # what is about calls is not about rows
    assert _held(KernelFilter(min_latency_ns=5)) == [100, 101, 102]
