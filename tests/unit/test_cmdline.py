# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Command lines come from a thread of their own, and a read that hangs holds up nobody."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import replace

import pytest
import synthetic
from fakeproc import TICK_NS, FakeProc

from ebtop.model.layout import EXECED, EXITED, KERNEL, RAN
from ebtop.sources import cmdline
from ebtop.sources.cmdline import CommandLines


@pytest.fixture
def proc(tmp_path):
    return FakeProc(tmp_path)


@pytest.fixture
def lines(proc):
    lines = CommandLines(str(proc.root))
    yield lines
    lines.close()


def key(pid, start=5):
    return (pid, start * TICK_NS)


def moment(*rows):
    """A refresh now, in which these were as they are."""
    now_ns = time.monotonic_ns()
    rows = [{"start_ns": 5 * TICK_NS, "comm": b"x", **row} for row in rows]
    processes = [synthetic.process(**row) for row in rows]
    return replace(synthetic.snapshot(processes), taken_ns=now_ns)


def ran(pid, flags=0, **values):
    return {"pid": pid, "flags": RAN | flags, **values}


def test_arguments_are_known_after_waiting(proc, lines):
    proc.put(7, cmdline=b"prog\0-v\0two words\0")
    assert not lines.lines
    lines.read(moment({"pid": 7}), 5)
    assert lines.lines == {key(7): b"prog\0-v\0two words"}


def test_wanted_by_key_they_come_without_waiting(proc, lines):
    proc.put(7, cmdline=b"prog\0")
    for _ in range(500):
        lines.want([key(7)])
        if lines.lines:
            break
        time.sleep(0.01)
    assert list(lines.lines.values()) == [b"prog"]


def test_kernel_threads_and_the_dead_are_not_asked(proc, lines):
    proc.put(7, cmdline=b"none\0")
    proc.put(8, cmdline=b"somebody else\0")
    lines.read(moment({"pid": 7, "flags": KERNEL}, {"pid": 8, "flags": EXITED}), 0.05)
    assert not lines.lines


def test_a_reused_pid_does_not_lend_its_arguments(proc, lines):
    proc.put(7, start=900, cmdline=b"newcomer\0")
    lines.read(moment({"pid": 7}), 5)
    assert not lines.lines


def test_a_start_time_of_the_kernel_finer_than_a_tick_fits(proc, lines):
    proc.put(7, start=5, cmdline=b"prog\0")
    fine = 5 * TICK_NS + 1234
    lines.read(moment({"pid": 7, "start_ns": fine}), 5)
    assert lines.lines == {(7, fine): b"prog"}


def test_who_ran_since_it_was_read_is_read_once_more(proc, lines):
    proc.put(7, cmdline=b"before\0")
    lines.read(moment({"pid": 7}), 5)
    proc.put(7, cmdline=b"after\0")
    lines.read(moment({"pid": 7}), 5)
    assert lines.lines[key(7)] == b"before"
    lines.absorb(moment(ran(7)))
    # it sleeps by the time that somebody looks
    lines.read(moment({"pid": 7}), 5)
    assert lines.lines[key(7)] == b"after"
    proc.put(7, cmdline=b"never read\0")
    lines.read(moment({"pid": 7}), 5)
    assert lines.lines[key(7)] == b"after"


def test_an_exec_makes_what_was_read_before_it_void(proc, lines):
    proc.put(7, cmdline=b"before\0")
    lines.read(moment({"pid": 7}), 5)
    proc.put(7, cmdline=b"after\0")
    lines.absorb(moment(ran(7, EXECED)))
    assert not lines.lines
    lines.want([key(7)])
    assert lines.settle({key(7)}, 5)
    assert lines.lines[key(7)] == b"after"


def test_a_reading_that_an_exec_overtook_is_thrown_away(proc, lines, monkeypatch):
    asked = lines._known.setdefault(key(7), cmdline._Known())
    asked.exec_ns = 100
    with lines._change:
        lines._remember(key(7), 99, b"of the program before")
        assert not lines.lines
        lines._remember(key(7), 101, b"of this one")
    assert lines.lines[key(7)] == b"of this one"


def test_a_new_name_without_an_exec_has_it_read_again_and_shows_the_old_one_so_long(proc, lines):
    proc.put(7, cmdline=b"before\0")
    lines.read(moment({"pid": 7}), 5)
    lines.absorb(moment(ran(7)))
    proc.put(7, cmdline=b"after\0")
    lines.absorb(moment(ran(7, comm=b"y")))
    assert lines.lines[key(7)] == b"before"
    lines.wait([key(7)], 5)
    assert lines.lines[key(7)] == b"after"


def test_what_is_read_once_more_has_a_price_and_each_its_turn(proc, lines, monkeypatch):
    monkeypatch.setattr(cmdline, "_MOST_AGAIN", 10)
    rows = [{"pid": pid} for pid in range(1, 31)]
    for row in rows:
        proc.put(row["pid"], cmdline=b"before\0")
    lines.read(moment(*rows), 5)
    for row in rows:
        proc.put(row["pid"], cmdline=b"after\0")
    counts = []
    lines.absorb(moment(*(ran(row["pid"]) for row in rows)))
    for _ in range(4):
        lines.read(moment(*rows), 5)
        counts.append(sum(line == b"after" for line in lines.lines.values()))
    assert counts == [10, 20, 30, 30]


def test_without_its_leader_a_process_is_asked_by_a_thread(proc, lines):
    proc.put(7, cmdline=b"", state="Z", threads=2)
    proc.put_thread(7, 7, cmdline=b"", state="Z")
    proc.put_thread(7, 9, cmdline=b"prog\0-v\0")
    lines.read(moment({"pid": 7}), 5)
    assert lines.lines[key(7)] == b"prog\0-v"


def test_long_ones_are_cut(proc, lines):
    proc.put(7, cmdline=b"a" * 128 * 1024)
    lines.wait([key(7)], 5)
    assert len(lines.lines[key(7)]) == cmdline.MOST_BYTES


def test_missing_files_stay_unknown(proc, lines):
    lines.wait([key(7)], 5)
    assert not lines.lines


def test_ten_thousand_are_read_in_one_wait(proc, lines):
    for pid in range(1, 6001):
        proc.put(pid)
    lines.wait([key(pid) for pid in range(1, 6001)], 5)
    assert lines.lines == {key(pid): b"x\0-y" for pid in range(1, 6001)}


def test_no_more_are_kept_than_allowed(proc, lines, monkeypatch):
    monkeypatch.setattr(cmdline, "_MOST_KNOWN", 10)
    for pid in range(1, 31):
        proc.put(pid)
        lines.wait([key(pid)], 5)
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
    lines.wait([key(7), key(8)], 0.02)
    assert time.monotonic() - began < 0.5
    deadline = time.monotonic() + 5
    while key(8) not in lines.lines and time.monotonic() < deadline:
        began = time.monotonic()
        lines.want([key(7), key(8)])
        assert time.monotonic() - began < 0.05
        time.sleep(0.01)
    assert lines.lines[key(8)] == b"well"
    free([stuck])


def test_the_number_of_stuck_threads_is_bounded(proc, lines, monkeypatch):
    monkeypatch.setattr(cmdline, "_STUCK_AFTER_S", 0.01)
    stuck = [stick(proc, pid) for pid in range(1, 11)]
    for _ in range(60):
        lines.want([key(pid) for pid in range(1, 11)])
        time.sleep(0.005)
    assert lines._stuck <= cmdline._MOST_STUCK
    for _ in range(20):
        free(stuck)
        time.sleep(0.01)
