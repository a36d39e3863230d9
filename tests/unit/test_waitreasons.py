# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sentences that must hold of the data behind reasons to wait, and of their drawing."""

from __future__ import annotations

import pytest
import synthetic

from ebtop.model import waitreasons
from ebtop.model.layout import KNOWN_BIT, ffi
from ebtop.model.process_table import BY_NAME, Context, wait_bar, wait_shares
from ebtop.model.rows import RowQuery, order_rows
from ebtop.model.syscallnames import number_of
from ebtop.model.waitreasons import BY_FILE, BY_FUTEX, LETTERS, ON_DISK, REASONS, UNSURE
from ebtop.ui.views.line import Style, line_text
from ebtop.ui.views.table import wait_spans


def test_reasons_are_those_of_the_collector() -> None:
    elements = ffi.typeof("enum ebtop_wait").elements
    names = {value: name for value, name in elements.items() if name != "EBTOP_WAITS"}
    assert [names[value] for value in sorted(names)] == [f"EBTOP_WAIT_{r.upper()}" for r in REASONS]
    assert list(LETTERS) == list(REASONS) and len(set(LETTERS.values())) == len(REASONS)


@pytest.mark.parametrize("name, reason, bits", [
    ("futex", "condition", BY_FUTEX), ("flock", "lock", 0), ("poll", "poll", 0),
    ("wait4", "poll", 0),
    ("read", "other", BY_FILE | UNSURE),
    ("nanosleep", "sleep", 0), ("fsync", "other", ON_DISK | UNSURE), ("rename", "other", UNSURE),
    ("accept4", "network", BY_FILE),
])  # fmt: skip
def test_what_a_system_call_says(name: str, reason: str, bits: int) -> None:
    number = number_of(name)
    if number is None:
        pytest.skip(f"no {name} on this architecture")
    assert waitreasons.calls()[number] == REASONS.index(reason) | bits


def test_each_function_has_one_reason() -> None:
    names = [name for text in waitreasons.FUNCTIONS.values() for name in text.split()]
    assert len(names) == len(set(names))
    lines = waitreasons.functions().decode().splitlines()
    assert f"{REASONS.index('poll')} ep_poll" in lines and len(lines) == len(names)


def test_a_bar_is_always_full_and_keeps_the_parts() -> None:
    assert wait_bar({"disk": 0.5, "sleep": 0.2}, 10) == "DDDDDss..."
    assert wait_bar({"disk": 1 / 3, "network": 1 / 3, "lock": 1 / 3}, 10) in (
        "DDDDNNNLLL", "DDDNNNNLLL", "DDDNNNLLLL")  # fmt: skip
    assert wait_bar({}, 10) == ".........."
    assert wait_bar({"pipe": 1.2}, 10) == "pppppppppp"
    for share in range(101):
        assert len(wait_bar({"disk": share / 100, "poll": (100 - share) / 300}, 7)) == 7


def test_letters_of_a_bar_have_their_colours() -> None:
    spans = wait_spans("DDss..")
    assert line_text(tuple(spans)) == "DDss.."
    assert [span.style for span in spans] == [Style.WAIT_DISK, Style.WAIT_SLEEP, Style.NORMAL]


def test_shares_are_of_the_time_that_threads_lived() -> None:
    row = synthetic.process(7, threads=2)
    row.update(wait_disk_ns=500, wait_sleep_ns=1000, lifetime_ns=2000)
    full = dict.fromkeys([f"wait_{reason}_ns" for reason in REASONS], 0)
    assert wait_shares({**full, **row}) == {
        **dict.fromkeys(REASONS, 0.0), "disk": 0.25, "sleep": 0.5
    }  # fmt: skip
    unknown = {**row, "known": row["known"] & ~(1 << KNOWN_BIT["lifetime_ns"])}
    assert wait_shares(unknown) is None
    context = Context(synthetic.office())
    assert BY_NAME["wait"].show(unknown, context) == BY_NAME["wdisk"].show(unknown, context) == "-"


def test_sleeping_processes_are_sorted_by_their_waits_too() -> None:
    office = synthetic.office()
    context = Context(office)
    ordered = order_rows(RowQuery(BY_NAME["wsleep"]), context)
    rows = [ordered.table.row(index) for index in ordered.window(0, len(ordered))]
    waits = [row["wait_sleep_ns"] for row in rows if wait_shares(row) is not None]
    assert waits == sorted(waits, reverse=True)
