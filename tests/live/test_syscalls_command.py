# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""`ebtop syscalls` as a command: its counts are those made, its reports come when they should."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from observe import allowed
from running import command

CALLER = """
import os, sys, time
sys.stdin.readline()
for _ in range(211):
    os.getppid()
for _ in range(101):
    time.sleep(0.005)
for _ in range(13):
    try:
        os.rmdir("/no/such/folder")
    except OSError:
        pass
"""


class Caller:
    """A process with a known number of calls; they are made when it is told to, then it ends."""

    def __enter__(self) -> subprocess.Popen[str]:
        words = [sys.executable, "-c", CALLER]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, text=True)
        time.sleep(0.3)
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def start(*words: str) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    process = subprocess.Popen(command("syscalls", *words), stdout=pipe, stderr=pipe)
    status, end = Path(f"/proc/{process.pid}/status"), time.monotonic() + 30
    # it gives up its privileges once all is loaded, and a moment later it counts
    while "\nUid:\t0\t" in status.read_text():
        assert time.monotonic() < end and process.poll() is None, process.communicate()
        time.sleep(0.02)
    time.sleep(allowed(0.1))
    return process


def calls(line: bytes) -> dict[str, dict[str, Any]]:
    return {call["name"]: call for call in json.loads(line)["syscalls"]}


def test_a_process_is_counted_exactly_to_its_end():
    with Caller() as caller:
        counting = start("--json", "-p", str(caller.pid))
        caller.communicate("\n")
        out, errors = counting.communicate(timeout=10)
    assert counting.returncode == 0 and f"process {caller.pid} has ended".encode() in errors
    got = calls(out)
    assert got["getppid"]["calls"] == 211
    assert (got["rmdir"]["calls"], got["rmdir"]["errors"]) == (13, 13)
    slept = next(got[name] for name in ("clock_nanosleep", "nanosleep") if name in got)
    assert slept["calls"] == 101
    assert 5_000_000 <= slept["p50_ns"] < 7_000_000
    assert sum(slept["histogram"]) == 101 and slept["histogram"][22] > 50


def test_only_those_named_are_reported_and_drawn():
    with Caller() as caller:
        counting = start("-S", "getppid,rmdir", "-p", str(caller.pid))
        caller.communicate("\n")
        out, _ = counting.communicate(timeout=10)
    text = out.decode()
    assert "224 calls, 13 errors" in text and "nanosleep" not in text
    assert text.count("  p50 ") == 2


def test_reports_come_every_so_often():
    done = subprocess.run(
        command("syscalls", "--json", "-d", "0.3", "-n", "3"), capture_output=True, timeout=20,
        check=True,
    )  # fmt: skip
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(reports) == 3
    assert all(0.29 <= report["interval_s"] < 1 for report in reports)
    assert all(report["syscalls"] for report in reports)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_brings_the_report(number):
    counting = start("--json")
    counting.send_signal(number)
    out, errors = counting.communicate(timeout=10)
    assert (counting.returncode, errors) == (0, b"")
    assert out.count(b"\n") == 1 and calls(out)


def test_samples_filter_in_the_kernel_too():
    """A process that sleeps makes no calls, whatever the rest of the machine does meanwhile."""
    with Caller() as caller:
        done = subprocess.run(
            command("--json", "-p", str(caller.pid), "-d", "0.5", "-n", "1"),
            capture_output=True, timeout=20, check=True,
        )  # fmt: skip
    sample = json.loads(done.stdout)
    assert [process["pid"] for process in sample["processes"]] == [caller.pid]
    assert sample["syscalls"] == []
    assert sample["processes"][0]["syscalls"] == 0
    assert sample["system"]["syscalls"] is None, "of the others nothing was counted"
