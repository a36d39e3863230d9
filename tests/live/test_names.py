# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Names are those of the moment: of the process its leader's, of a thread its own, whoever gave
them, and whether it sleeps or has ended; of a kernel thread the whole one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from following import Event, Follower
from observe import opened, row_of, until_done, watch, workload

from ebtop.model.layout import KERNEL
from ebtop.model.snapshot import Snapshot
from ebtop.sources.bpf import Session


def python(code: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True)
    until_done(process)
    return process


def threads(snapshot: Snapshot, pid: int) -> dict[int, dict[str, Any]]:
    return {row["tid"]: row for row in snapshot.threads.rows() if row["pid"] == pid}


RENAMES = """
import os, sys, threading, time
def run():
    sys.stdin.readline()
    for tid, name in ((os.getpid(), "the process"), (asleep.native_id, "a thread")):
        open(f"/proc/self/task/{tid}/comm", "w").write(name)
    sys.stdin.readline()
asleep = threading.Thread(target=time.sleep, args=(600,), daemon=True)
asleep.start()
threading.Thread(target=run, daemon=True).start()
time.sleep(0.2)
print("done", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("probes", [None, ["sched", "life", "tasks"]])
def test_sleepers_that_another_thread_renames_have_their_new_names(probes: Any) -> None:
    """Nobody but the process itself can rename its threads, so it has run then."""
    process = python(RENAMES)
    assert process.stdin is not None
    with opened(probes) as session:
        watch(session, 0.3)
        session.refresh(threads=True)
        process.stdin.write("\n")
        process.stdin.flush()
        watch(session, 0.3)
        snapshot = session.refresh(threads=True)
        again = session.refresh(threads=True)
    process.kill()
    process.communicate()
    for found in (snapshot, again):
        own = threads(found, process.pid)
        assert row_of(found, process.pid)["comm"] == b"the process"
        assert b"a thread" in {row["comm"] for row in own.values()}
        assert {row["process_comm"] for row in own.values()} == {b"the process"}


def named_by_itself(session: Session) -> tuple[dict[int, dict[str, Any]], int]:
    process = subprocess.Popen([workload("names"), "pool-7"], stdout=subprocess.PIPE, text=True)
    until_done(process)
    snapshot = session.refresh(threads=True)
    found = threads(snapshot, process.pid)
    process.kill()
    process.communicate()
    return found, process.pid


def test_threads_that_name_themselves_are_called_so_ended_ones_too() -> None:
    with opened() as session:
        found, pid = named_by_itself(session)
    assert {row["comm"] for row in found.values()} == {b"names", b"pool-7", b"pool-7 ended"}
    assert {row["process_comm"] for row in found.values()} == {b"names"}
    assert found[pid]["comm"] == b"names"


def test_an_ended_process_has_its_own_name_not_that_of_its_last_thread() -> None:
    with opened() as session:
        process = subprocess.Popen([workload("names"), "last", "leave"])
        process.wait()
        time.sleep(0.05)
        snapshot = session.refresh()
        row = row_of(snapshot, process.pid, gone=True)
        lines = [event for event in snapshot.events.rows() if event["pid"] == process.pid]
    assert row["comm"] == b"names"
    assert [event["comm"] for event in lines][-1] == b"names"
    assert lines[-1]["thread_comm"] == b"last"


@pytest.mark.parametrize(("command", "least"), [("open", 1), ("mem", 2), ("tcp", 4)])
def test_streams_by_name_show_all_that_the_process_does(command: str, least: int) -> None:
    program = workload("names")

    def once() -> None:
        subprocess.run([program, "disk-pool", "work"], check=True)

    with Follower(once, command, "--json", "-c", "names") as by_process:
        once()
        events = of(by_process.end(), "disk-pool")
    with Follower(once, command, "--json", "--thread-name", "sk-po") as by_thread:
        once()
        lines = by_thread.end()
    assert len(events) >= least
    assert {event["comm"] for event in events} == {"names"}
    assert {event["thread_comm"] for event in lines} == {"disk-pool"}


def of(events: list[Event], thread: str) -> list[Event]:
    last = max(event["pid"] for event in events)
    return [e for e in events if e["pid"] == last and e["thread_comm"] == thread]


def test_kernel_threads_have_their_whole_names() -> None:
    def truth(pid: int) -> bytes:
        try:
            return Path(f"/proc/{pid}/comm").read_bytes()[:-1]
        except OSError:
            return b""

    with opened() as session:
        before = {int(pid): truth(int(pid)) for pid in os.listdir("/proc") if pid.isdigit()}
        snapshot = session.refresh()
        rows = [row for row in snapshot.processes.rows() if row["flags"] & KERNEL and row["pid"]]
        after = {row["pid"]: truth(row["pid"]) for row in rows}
    known = {
        row["pid"]: snapshot.text[row["text"] : row["text"] + row["text_bytes"]] or row["comm"]
        for row in rows
    }
    # a worker takes up and lays down its work, and goes from queue to queue
    steady = {pid for pid in known if before.get(pid) and before[pid] == after[pid]}
    assert {pid: known[pid] for pid in steady} == {pid: after[pid] for pid in steady}
    assert len(steady) >= len(known) // 2
    assert any(len(known[pid]) > 15 for pid in steady)
