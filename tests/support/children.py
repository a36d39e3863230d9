# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns forked processes that a test lets work."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")


def child(work: Callable[[], None]) -> int:
    """A forked process that does the work and ends; its pid."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def successor_of(pid: int, work: Callable[[], None]) -> int:
    """A forked process that gets the number of one that ended, and does the work."""
    for _ in range(100):
        LAST_PID.write_text(str(pid - 1))
        found = child(lambda: work() if os.getpid() == pid else None)
        if found == pid:
            return found
        os.waitpid(found, 0)
    raise AssertionError("the number cannot be had")


def ended(pid: int) -> None:
    assert os.waitpid(pid, 0)[1] == 0
