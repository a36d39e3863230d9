# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the bad ends of a guest, to be tried by hand: `make test-vm` must call each by its name.

    make test-vm KERNEL=5.10 SETTING=plain ARGS='--seconds 60 tests/vm/bad_ends.py::test_panic'

None may pass for good. A kernel that cannot be had needs no test:

    EBTOP_VM_CACHE=/tmp/none unshare -n make test-vm KERNEL=6.1
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    os.environ.get("EBTOP_VM") != "1", reason="only a guest may come to a bad end"
)


def test_panic() -> None:
    Path("/proc/sysrq-trigger").write_text("c")


def test_hang() -> None:
    time.sleep(100_000)


def test_memory() -> None:
    """The guest has more address space than memory; here the tests themselves are killed."""
    Path("/proc/self/oom_score_adj").write_text("1000")
    held = []
    while True:
        held.append(bytearray(os.urandom(1 << 20)))


def test_no_memory_left_to_kill_for() -> None:
    """Nobody may be killed, so the kernel gives up."""
    Path("/proc/sys/vm/panic_on_oom").write_text("2")
    test_memory()


def test_complaint() -> None:
    """Passes; the run must not."""
    Path("/dev/kmsg").write_text("<4>WARNING: made by hand\n")


def test_without_a_word() -> None:
    Path("/proc/sysrq-trigger").write_text("o")
    time.sleep(60)
