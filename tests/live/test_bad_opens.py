# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sentences that must hold of opens without a name: they are opens, and have a result."""

from __future__ import annotations

import errno
import subprocess
import time
from typing import Any

import pytest
from observe import EMULATED, row_of, watch, workload

from ebtop.model.layout import EVENT_TYPES, TEXT_UNREAD
from ebtop.sources.bpf import Session


def opened_by(*words: str) -> tuple[int, list[dict[str, Any]], str]:
    """How many, their events, and the hooks that saw them."""
    process = subprocess.Popen([workload("badopens"), *words], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        process.communicate()
        pytest.skip(f"this machine has no opens by {words[0]}: not a capability of ebtop")
    time.sleep(0.1)
    with Session(["sched", "life", "tasks", "open"]) as session:
        session.refresh()
        process.communicate("\n")
        assert process.returncode == 0
        watch(session, 0.2 if not EMULATED else 2)
        snapshot = session.refresh()
    events = [row for row in snapshot.events.rows() if row["pid"] == process.pid
              and EVENT_TYPES[row["type"]] == "open"]  # fmt: skip
    hook = next(probe.hook for probe in snapshot.probes if probe.name == "open")
    return row_of(snapshot, process.pid, gone=True)["opens"], events, hook


def test_opens_of_what_cannot_be_read_are_opens() -> None:
    opens, events, _ = opened_by()
    assert opens == 23
    assert [row["result"] for row in events] == [-errno.EFAULT] * 23
    assert all(row["marks"] & TEXT_UNREAD for row in events)


def test_opens_by_handle_are_opens() -> None:
    opens, events, _ = opened_by("handle")
    assert opens == 5 and all(row["marks"] & TEXT_UNREAD for row in events)
    assert [row["result"] >= 0 for row in events] == [True] * 3 + [False] * 2
    assert {row["result"] for row in events[3:]} == {-errno.EINVAL}


def test_opens_by_io_uring_are_opens_where_it_tells_of_its_completions() -> None:
    opens, events, hook = opened_by("ring")
    if "io_uring_complete" not in hook:  # and the hook says so
        assert "io_uring" in hook.partition("(without")[2]
        assert opens == 0
        return
    assert opens == 7
    assert [row["result"] >= 0 for row in events] == [True] * 4 + [False] * 3
    assert {row["result"] for row in events[4:]} == {-errno.ENOENT}
