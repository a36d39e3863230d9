# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Births, execs and deaths: each counted once, with its true facts, also when pids come back."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from observe import named, opened, row_of, start, until_done, value, watch, workload

from ebtop.layout import ARGS_CUT, BORN, EXITED
from ebtop.snapshot import Snapshot


def text_of(snapshot: Snapshot, row: dict[str, int]) -> bytes:
    return snapshot.text[row["text"] : row["text"] + row["text_bytes"]]


def test_forks_and_exits_of_a_prime_number() -> None:
    with opened() as session:
        process = start("forks", "503")
        until_done(process)
        snapshot = session.refresh()
        rows = list(named(snapshot, b"act"))
        process.kill()
        process.wait()
    children = [row for row in rows if row["ppid"] == process.pid]
    assert len(children) == 503
    assert all(row["flags"] & EXITED and row["flags"] & BORN for row in children)
    codes = [value(row, "exit_code") for row in children]
    assert codes.count(7 << 8) == 251
    assert codes.count(0) == 252
    assert snapshot.system.started is not None and snapshot.system.started >= 504


def test_arguments_of_an_exec_are_caught_cut_and_marked() -> None:
    act = workload("act")
    with opened() as session:
        subprocess.run([act, "exit", "0", "a b", "\x1b[31m", "\udcff"], check=True)
        subprocess.run([act, "exit", "0", "x" * 5000], check=True)
        snapshot = session.refresh()
        short, long = sorted(named(snapshot, b"act"), key=lambda row: row["text_bytes"])
    expected = [act, "exit", "0", "a b", "\x1b[31m", "\udcff"]
    assert text_of(snapshot, short) == b"".join(os.fsencode(word) + b"\0" for word in expected)
    assert not short["flags"] & ARGS_CUT
    assert long["flags"] & ARGS_CUT
    assert len(text_of(snapshot, long)) == 256


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_death_by_signal_is_told(number: int) -> None:
    process = start("wait", "0")
    with opened() as session:
        time.sleep(0.05)
        session.refresh()
        process.send_signal(number)
        process.wait()
        row = row_of(session.refresh(), process.pid, gone=True)
    assert value(row, "exit_code") is not None
    assert row["exit_code"] & 0x7F == number


def test_zombie_keeps_its_row_until_it_is_reaped() -> None:
    with opened() as session:
        process = start("exit", "5")
        time.sleep(0.2)
        first = row_of(session.refresh(), process.pid, gone=True)
        watch(session, 0.2)
        second = row_of(session.refresh(), process.pid, gone=True)
        process.wait()
        watch(session, 0.2)
        after = session.refresh()
    assert (chr(first["state"]), chr(second["state"])) == ("Z", "Z")
    assert first["exit_code"] == second["exit_code"] == 5 << 8
    assert second["oncpu_ns"] == 0
    assert not [row for row in after.processes.rows() if row["pid"] == process.pid]


def test_process_lives_on_without_its_leader() -> None:
    with opened() as session:
        process = start("orphan", "600")
        time.sleep(0.2)
        row = row_of(session.refresh(), process.pid)
        assert chr(row["state"]) == "S"
        assert row["threads"] == 1
        process.wait()
        ended = row_of(session.refresh(), process.pid, gone=True)
    assert ended["exit_code"] == 3 << 8


def test_orphan_gets_its_new_parent() -> None:
    with opened() as session:
        script = "sleep 5 >/dev/null & echo $!"
        child = int(subprocess.check_output(["/bin/sh", "-c", script], stdin=subprocess.DEVNULL))
        try:
            time.sleep(0.1)
            session.refresh()
            # reparenting is no event of the child's: it shows when its record is read next
            os.kill(child, signal.SIGCONT)
            watch(session, 2.5)
            row = row_of(session.refresh(), child)
            stat = Path(f"/proc/{child}/stat").read_text()
        finally:
            os.kill(child, signal.SIGKILL)
    assert row["ppid"] == int(stat.rpartition(")")[2].split()[1])


def test_name_and_owner_are_those_of_the_moment() -> None:
    code = (
        "import os, sys, time; open('/proc/self/comm', 'w').write('renamed');"
        "os.setuid(65534); print('done', flush=True); sys.stdin.read()"
    )
    with opened() as session:
        process = subprocess.Popen(
            ["/usr/bin/python3", "-c", code],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        until_done(process)
        row = row_of(session.refresh(), process.pid)
        process.kill()
        process.wait()
    assert (row["comm"], row["uid"]) == (b"renamed", 65534)


def test_reused_pid_inherits_nothing() -> None:
    with opened() as session:
        first = start("spin", "200")
        first.wait()
        for _ in range(20):
            Path("/proc/sys/kernel/ns_last_pid").write_text(str(first.pid - 1))
            second = start("wait", "0")
            if second.pid == first.pid:
                break
            second.kill()
            second.wait()
        assert second.pid == first.pid, "the pid was never given again"
        time.sleep(0.05)
        rows = [r for r in session.refresh().processes.rows() if r["pid"] == first.pid]
        second.kill()
        second.wait()
    assert len(rows) == 2
    old, new = sorted(rows, key=lambda row: row["start_ns"])
    assert old["flags"] & EXITED and not new["flags"] & EXITED
    assert old["oncpu_ns"] > 150e6
    assert new["oncpu_ns"] < 50e6


def test_exec_by_another_thread_keeps_the_process() -> None:
    code = (
        "import os, threading, time;"
        "threading.Thread(target=lambda: os.execv('/bin/sleep', ['sleep', '30'])).start();"
        "time.sleep(30)"
    )
    with opened() as session:
        process = subprocess.Popen(["/usr/bin/python3", "-c", code])
        watch(session, 1.0)
        session.refresh()
        watch(session, 0.5)
        row = row_of(session.refresh(), process.pid)
        process.kill()
        process.wait()
        gone = row_of(session.refresh(), process.pid, gone=True)
    assert row["comm"] == b"sleep"
    assert row["oncpu_ns"] < 10e6
    assert gone["exit_code"] & 0x7F == signal.SIGKILL


def test_process_list_is_that_of_proc() -> None:
    processes = [start("wait", "0") for _ in range(53)]
    with opened() as session:
        time.sleep(0.05)
        rows = {row["pid"] for row in session.refresh().processes.rows()}
        for process in processes:
            process.kill()
            process.wait()
        left = {row["pid"] for row in session.refresh().processes.rows() if row["flags"] & EXITED}
    pids = {process.pid for process in processes}
    assert pids <= rows
    assert pids <= left
