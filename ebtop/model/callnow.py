# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what a thread is doing in the kernel now: its system call, and for how long."""

from __future__ import annotations

from typing import Optional

from ebtop.model.process_table import Row
from ebtop.model.snapshot import Snapshot
from ebtop.model.syscallnames import COMPAT, name_of


def call_now(row: Row) -> Optional[str]:
    """The name; None when it is in none, or nothing is known."""
    number = row["call"] - 1
    return None if number < 0 else name_of(number % COMPAT, number >= COMPAT)


def call_now_ns(row: Row, snapshot: Snapshot) -> Optional[int]:
    """Time since the call began or, if its begin was missed, since the thread went to sleep in
    it."""
    if not row["call"] or not row["call_since_ns"]:
        return None
    return max(0, snapshot.taken_ns - int(row["call_since_ns"]))
