# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sentences that must hold when one of many system calls is timed: all are counted, and
what is said of durations is near what it would be.
"""

from __future__ import annotations

import pytest
from calling import TEN, calling, histogram, only, table
from observe import row_of

from ebtop.model.layout import DIVIDED

EVERY = 16


def test_all_are_counted_and_one_of_many_is_timed() -> None:
    with calling("ten") as caller, only(caller) as session:
        session.refresh(every=EVERY)
        session.refresh(every=EVERY)
        caller.begin()
        caller.until_done()
        snapshot = session.refresh(every=EVERY)
        row = row_of(snapshot, caller.pid)
    calls = table(snapshot)
    found = {name: (calls[name]["calls"], calls[name]["errors"]) for name in TEN}
    assert found == {name: (count, count * fails) for name, (count, fails) in TEN.items()}
    timed = sum(sum(histogram(calls[name])) for name in TEN)
    whole = sum(count for count, _ in TEN.values())
    assert whole / EVERY / 2 < timed < whole / EVERY * 2
    assert row["syscalls"] == whole + 1 and not row["flags"] & DIVIDED


def test_a_sum_of_durations_is_estimated() -> None:
    with calling("sleep", "211", "1000000") as caller, only(caller) as session:
        session.refresh(every=2)
        caller.begin()
        took = sum(map(int, caller.until_done()))
        slept = table(session.refresh())["nanosleep"]
    assert slept["calls"] == 211
    assert slept["total_ns"] == pytest.approx(took, rel=0.3)
