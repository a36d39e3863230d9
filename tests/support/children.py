# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns forked processes that a test lets work."""

from __future__ import annotations

import os
from collections.abc import Callable


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


def ended(pid: int) -> None:
    assert os.waitpid(pid, 0)[1] == 0
