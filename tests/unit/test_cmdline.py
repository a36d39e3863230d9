# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Command lines come from a thread of their own, and a read that hangs holds up nobody."""

from __future__ import annotations

import contextlib
import os
import time

import pytest
from fakeproc import TICK_NS, FakeProc

from ebtop import cmdline
from ebtop.cmdline import CommandLines
from ebtop.layout import EXITED, KERNEL


@pytest.fixture
def proc(tmp_path):
    return FakeProc(tmp_path)


@pytest.fixture
def lines(proc):
    lines = CommandLines(str(proc.root))
    yield lines
    lines.close()


def row(pid, start=5, comm=b"x", flags=0):
    return {"pid": pid, "start_ns": start * TICK_NS, "comm": comm, "flags": flags}


def test_arguments_are_known_after_waiting(proc, lines):
    proc.put(7, cmdline=b"prog\0-v\0two words\0")
    assert lines.get(row(7)) is None
    lines.wait([row(7)], 5)
    assert lines.get(row(7)) == b"prog\0-v\0two words"
    assert lines.lines[(7, 5 * TICK_NS)] == b"prog\0-v\0two words"


def test_wanted_by_key_they_come_without_waiting(proc, lines):
    proc.put(7, cmdline=b"prog\0")
    for _ in range(500):
        lines.want([(7, 5 * TICK_NS)])
        if lines.lines:
            break
        time.sleep(0.01)
    assert list(lines.lines.values()) == [b"prog"]


def test_a_kernel_thread_has_none_and_the_dead_are_not_asked(proc, lines):
    assert lines.get(row(7, flags=KERNEL)) == b""
    proc.put(8, cmdline=b"somebody else\0")
    lines.wait([row(8, flags=EXITED)], 0.05)
    assert lines.get(row(8, flags=EXITED)) is None


def test_a_reused_pid_does_not_lend_its_arguments(proc, lines):
    proc.put(7, start=900, cmdline=b"newcomer\0")
    lines.wait([row(7, start=5)], 5)
    assert lines.get(row(7, start=5)) is None


def test_a_start_time_of_the_kernel_finer_than_a_tick_fits(proc, lines):
    proc.put(7, start=5, cmdline=b"prog\0")
    fine = {**row(7), "start_ns": 5 * TICK_NS + 1234}
    lines.wait([fine], 5)
    assert lines.get(fine) == b"prog"


def test_a_new_name_has_it_read_again(proc, lines):
    proc.put(7, cmdline=b"before\0")
    lines.wait([row(7)], 5)
    proc.put(7, cmdline=b"after\0")
    lines.wait([row(7)], 5)
    assert lines.get(row(7)) == b"before"
    lines.wait([row(7, comm=b"y")], 5)
    assert lines.get(row(7, comm=b"y")) == b"after"


def test_long_ones_are_cut(proc, lines):
    proc.put(7, cmdline=b"a" * 128 * 1024)
    lines.wait([row(7)], 5)
    assert len(lines.get(row(7))) == cmdline.MOST_BYTES


def test_missing_files_stay_unknown(proc, lines):
    lines.wait([row(7)], 5)
    assert lines.get(row(7)) is None


def test_ten_thousand_are_read_in_one_wait(proc, lines):
    for pid in range(1, 6001):
        proc.put(pid)
    rows = [row(pid) for pid in range(1, 6001)]
    lines.wait(rows, 5)
    assert all(lines.get(one) == b"x\0-y" for one in rows)


def test_no_more_are_kept_than_allowed(proc, lines, monkeypatch):
    monkeypatch.setattr(cmdline, "_MOST_KNOWN", 10)
    rows = [row(proc.put(pid) and pid) for pid in range(1, 31)]
    for one in rows:
        lines.wait([one], 5)
    assert len(lines._known) == len(lines.lines) == 10


def stick(proc, pid):
    path = proc.put(pid) / "cmdline"
    path.unlink()
    os.mkfifo(path)  # opening it hangs, as a process stuck in the kernel does
    return path


def free(paths):
    for path in paths:
        with contextlib.suppress(OSError):  # nobody reads it
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


def test_a_read_that_never_returns_costs_only_its_thread(proc, lines, monkeypatch):
    monkeypatch.setattr(cmdline, "_STUCK_AFTER_S", 0.05)
    stuck = stick(proc, 7)
    proc.put(8, cmdline=b"well\0")
    began = time.monotonic()
    lines.wait([row(7), row(8)], 0.02)
    assert time.monotonic() - began < 0.5
    deadline = time.monotonic() + 5
    while lines.get(row(8)) is None and time.monotonic() < deadline:
        began = time.monotonic()
        lines.get(row(7))
        assert time.monotonic() - began < 0.05
        time.sleep(0.01)
    assert lines.get(row(8)) == b"well"
    free([stuck])


def test_the_number_of_stuck_threads_is_bounded(proc, lines, monkeypatch):
    monkeypatch.setattr(cmdline, "_STUCK_AFTER_S", 0.01)
    stuck = [stick(proc, pid) for pid in range(1, 11)]
    for _ in range(60):
        for pid in range(1, 11):
            lines.get(row(pid))
        time.sleep(0.005)
    assert lines._stuck <= cmdline._MOST_STUCK
    for _ in range(20):
        free(stuck)
        time.sleep(0.01)
