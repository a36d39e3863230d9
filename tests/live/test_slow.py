# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sentences that must hold of `ebtop slow`: what took long is told, once, with what it was
about; what did not, or is filtered out, is not.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from diskwork import place
from observe import EMULATED, workload

MS = 1_000_000
SLACK = 25 * MS if not EMULATED else 900 * MS
Events = list[dict[str, Any]]


class Worker:
    """The workload; its FIFO lies in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.fifo = folder / "fifo"
        os.mkfifo(self.fifo)
        self.process = subprocess.Popen([workload("slowops"), str(self.fifo)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)  # fmt: skip
        assert self.process.stdout is not None
        self.ports = self.process.stdout.readline().split()
        self.pid = self.process.pid

    def work(self) -> None:
        self.process.communicate("\n")
        assert self.process.returncode == 0


def slow(worker: Worker, *options: str) -> Events:
    """What the stream says of the workload, without its lines that something was lost."""
    command = [sys.executable, "-m", "ebtop", "slow", "--json", *options]
    stream = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert stream.stdout is not None
    _until_it_counts(stream.pid)
    worker.work()
    stream.send_signal(signal.SIGINT)
    rest = stream.communicate(timeout=60)[0]
    assert stream.returncode == 0
    events = [json.loads(line) for line in rest.splitlines() if line.startswith("{")]
    return [event for event in events if event.get("pid") == worker.pid]


def _until_it_counts(pid: int) -> None:
    """Its programs are attached, the busiest last, and privileges are given up only after that."""
    for _ in range(600):
        time.sleep(0.1)
        status = Path(f"/proc/{pid}/status").read_text()
        if "NoNewPrivs:\t1" in status:
            return
    pytest.fail("it does not begin")


def of(events: Events, kind: str) -> Events:
    return [event for event in events if event["kind"] == kind]


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


def test_slow_calls_and_waits_are_told_with_what_they_were_about(worker: Worker) -> None:
    events = slow(worker, "--min", "20ms", "-p", str(worker.pid))
    calls, waits = of(events, "syscall"), of(events, "wait")
    names = [event["name"] for event in calls if event["name"] != "wait4"]
    # the read that it was in had begun when nobody counted
    assert names == ["nanosleep", "nanosleep", "nanosleep", "recvfrom", names[-1]]
    assert names[-1] in ("openat", "open")
    for event, ms in zip(calls, (30, 30, 30, 40)):
        assert ms * MS <= event["duration_ns"] <= ms * MS + SLACK
    recv = next(event for event in calls if event["name"] == "recvfrom")
    here, there = worker.ports
    assert recv["connection"] == f"127.0.0.1:{here} -> 127.0.0.1:{there}" and recv["result"] == 1
    assert calls[-1]["file"] == str(worker.fifo) and calls[-1]["error"] is None
    first = [event for event in waits if event["syscall"] in ("nanosleep", "recvfrom")]
    assert [event["name"] for event in first] == ["sleep", "sleep", "sleep", "network"]
    assert first[3]["connection"] == recv["connection"]
    assert not [event for event in events if event["name"] == "getppid"]


def test_only_what_takes_so_long(worker: Worker) -> None:
    events = slow(worker, "--min", "35ms" if not EMULATED else "1500ms", "-p", str(worker.pid))
    assert not [event for event in events if event["name"] in ("nanosleep", "sleep")]


def test_only_these_calls_and_kinds(worker: Worker) -> None:
    events = slow(worker, "-S", "nanosleep", "--kind", "syscall,wait", "-p", str(worker.pid))
    assert {event["syscall"] for event in events} == {"nanosleep"}
    assert len(of(events, "syscall")) == len(of(events, "wait")) == 3


def test_not_the_pids_that_are_excluded(worker: Worker) -> None:
    assert slow(worker, "--exclude-pid", str(worker.pid), "--kind", "syscall,wait") == []


def test_requests_to_disks_have_their_owner() -> None:
    with place(8191) as disk:
        words = ["slow", "--json", "--kind", "disk", "--min", "1us", "-c", "dd"]
        command = [sys.executable, "-m", "ebtop", *words]
        stream = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        _until_it_counts(stream.pid)
        subprocess.run(["dd", f"if={disk.path}", "of=/dev/null", "bs=16k", "count=29",
                        "iflag=direct", "status=none"], check=True)  # fmt: skip
        time.sleep(0.2 if not EMULATED else 2)
        stream.send_signal(signal.SIGINT)
        rest = stream.communicate(timeout=60)[0]
    events = [json.loads(line) for line in rest.splitlines() if line.startswith("{")]
    reads = [event for event in events if event.get("name") == "read" and event["bytes"] == 16384]
    assert len(reads) == 29 and {event["comm"] for event in reads} == {"dd"}
    assert len({event["device"] for event in reads}) == 1 and reads[0]["uid"] == os.getuid()
    assert all(event["duration_ns"] >= 1000 for event in reads)
