# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Births, execs and deaths: each counted once, with its true facts, also when pids come back."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from observe import (
    EMULATED,
    named,
    opened,
    row_of,
    start,
    until_asleep,
    until_done,
    value,
    watch,
    workload,
)

from ebtop.model.layout import ARGS_CUT, BORN, EVENT_TYPES, EXITED
from ebtop.model.snapshot import Snapshot

EXEC, EXIT = EVENT_TYPES.index("exec"), EVENT_TYPES.index("exit")


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
        rows = [row for row in named(snapshot, b"act") if row["ppid"] == os.getpid()]
        short, long = sorted(rows, key=lambda row: row["text_bytes"])
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
        # an emulator takes half a second to read the kernel's symbols, where a stack needs them
        process = start("orphan", "600" if not EMULATED else "4000")
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
    assert old["oncpu_ns"] > 20e6
    assert new["oncpu_ns"] < old["oncpu_ns"] / 4


def test_exec_by_another_thread_keeps_the_process() -> None:
    code = (
        "import os, threading, time;"
        "threading.Thread(target=lambda: os.execv('/bin/sleep', ['sleep', '30'])).start();"
        "time.sleep(30)"
    )
    with opened() as session:
        process = subprocess.Popen(["/usr/bin/python3", "-c", code])
        comm = Path(f"/proc/{process.pid}/comm")
        watch(session, 20, lambda: comm.read_text() == "sleep\n")
        until_asleep(process.pid)
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


def test_threads_that_end_at_once_are_one_exit() -> None:
    with opened() as session:
        process = start("groups", "101")
        until_done(process)
        snapshot = session.refresh()
        exits = [
            event["pid"]
            for event in snapshot.events.rows()
            if event["type"] == EXIT and event["ppid"] == process.pid
        ]
        rows = [row for row in named(snapshot, b"act") if row["ppid"] == process.pid]
        process.kill()
        process.wait()
    assert len(exits) == len(set(exits)) == 101
    assert len(rows) == 101
    assert {value(row, "exit_code") for row in rows} == {9 << 8}


@pytest.mark.parametrize("codes", [("2", "0"), ("0", "5"), ("3", "4")])
def test_exit_code_is_what_wait_gives_when_the_leader_ended_first(codes: tuple[str, str]) -> None:
    with opened() as session:
        process = start("leader", *codes)
        # until its last thread has ended; it stays to be waited for
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        zombie = row_of(session.refresh(), process.pid, gone=True)
        with opened() as latecomer:
            met = row_of(latecomer.refresh(), process.pid, gone=True)
        _, status = os.waitpid(process.pid, 0)
        process.returncode = 0
    assert zombie["exit_code"] == met["exit_code"] == status


def test_execs_of_one_process_are_one_row() -> None:
    with opened() as session:
        process = start("execs", "211")
        until_done(process)
        snapshot = session.refresh()
        row = row_of(snapshot, process.pid)
        status = Path(f"/proc/{process.pid}/schedstat").read_text()
        process.kill()
        process.wait()
    execs = [e for e in snapshot.events.rows() if e["pid"] == process.pid and e["type"] == EXEC]
    assert len(execs) == 211 + 1
    # the arguments are those of the last exec, and the time that of all of them
    assert text_of(snapshot, row).split(b"\0")[1:] == [b"execs", b"0", b""]
    assert row["oncpu_ns"] == int(status.split()[0])


def test_strange_arguments_are_what_the_kernel_was_given() -> None:
    arguments = [b"\xff\x1b]0;x\x07", b"\n", b"", b"-", b""]
    with opened() as session:
        # it refuses them, and is gone at once
        close = [(os.POSIX_SPAWN_CLOSE, 2)]
        pid = os.posix_spawn("/bin/sleep", arguments, {}, file_actions=close)
        os.waitpid(pid, 0)
        snapshot = session.refresh()
        row = row_of(snapshot, pid, gone=True)
    assert text_of(snapshot, row) == b"".join(word + b"\0" for word in arguments)
    assert not row["flags"] & ARGS_CUT


def test_program_without_arguments_does_not_keep_those_before() -> None:
    with opened() as session:
        process = start("bare", "1")
        until_done(process)
        snapshot = session.refresh()
        row = row_of(snapshot, process.pid)
        process.kill()
        process.wait()
    # since 5.18 the kernel gives an empty first argument to who has none
    assert text_of(snapshot, row) in (b"\0", b"")


def test_times_of_the_dead_are_all_there() -> None:
    """What a process did from its birth to its end, in one row: rusage says the same."""
    with opened() as session:
        process = start("spin", "157")
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
        time.sleep(0.02)
        row = row_of(session.refresh(), process.pid, gone=True)
    # rusage is read when it is reaped, its last steps are charged a moment later
    assert row["oncpu_ns"] / 1e9 == pytest.approx(used.ru_utime + used.ru_stime, abs=0.0005)
    # the fault that writes the parent's copy of the pid comes before the first event
    assert row["minor_faults"] == pytest.approx(used.ru_minflt, abs=2)
    assert row["peak_rss_bytes"] <= used.ru_maxrss * 1024
