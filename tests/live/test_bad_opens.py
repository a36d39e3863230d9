# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sentence that must hold of opens that fail before there is a name: they are opens."""

from __future__ import annotations

import errno
import subprocess
import time

from observe import EMULATED, row_of, watch, workload

from ebtop.layout import EVENT_TYPES, TEXT_UNREAD
from ebtop.session import Session


def test_opens_of_what_cannot_be_read_are_opens() -> None:
    process = subprocess.Popen([workload("badopens")], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    with Session(["sched", "life", "tasks", "open"]) as session:
        session.refresh()
        process.communicate("\n")
        watch(session, 0.2 if not EMULATED else 2)
        snapshot = session.refresh()
    assert row_of(snapshot, process.pid, gone=True)["opens"] == 23
    events = [row for row in snapshot.events.rows() if row["pid"] == process.pid
              and EVENT_TYPES[row["type"]] == "open"]  # fmt: skip
    assert [row["result"] for row in events] == [-errno.EFAULT] * 23
    assert all(row["marks"] & TEXT_UNREAD for row in events)
