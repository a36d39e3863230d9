# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Without BPF: bytes from and to disks, and the system call that a thread is in, of whom the reader
may know them; and the process that knows them for an ebtop which may not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from diskwork import Place, place
from observe import until_asleep
from running import NOBODY, command, why_not_as_nobody

from ebtop.runtime.privilege import bit

READS, WRITES, PAGE = 53, 101, 4096
WORKER = f"""
import mmap, os, sys, threading, time
threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
fd = int(sys.argv[1])
print("ready", flush=True)
os.read(0, 1)
with mmap.mmap(-1, {PAGE}) as page:
    for number in range({WRITES}):
        os.pwrite(fd, page, number * {PAGE})
    for number in range({READS}):
        os.preadv(fd, [page], number * {PAGE})
print("done", flush=True)
os.read(0, 1)
"""


@contextmanager
def worker(device: Place, **user: Any) -> Iterator[subprocess.Popen[str]]:
    """Waits in read(2), does its work when told to, and waits there again."""
    fd = os.open(device.path, os.O_RDWR | os.O_DIRECT)
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(fd)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, pass_fds=[fd], **user,
    )  # fmt: skip
    os.close(fd)
    try:
        heard(process, "ready")
        yield process
    finally:
        process.kill()
        process.communicate()


def heard(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == word + "\n"
    until_asleep(process.pid)


def told(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("x")
    process.stdin.flush()


def kernels_own(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return {name: int(value) for name, _, value in (line.partition(": ") for line in lines)}


def samples_of_work(process: subprocess.Popen[str], **user: Any) -> list[dict[str, Any]]:
    """From before the work to after it."""
    words = command("--json", "-d", "0.4", "--source", "proc", "-H", "-p", str(process.pid))
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, **user) as viewer:
        assert viewer.stdout is not None
        found = [json.loads(viewer.stdout.readline())]
        told(process)
        heard(process, "done")
        done = datetime.now(timezone.utc)
        # one that began before it was done, and the one after
        while datetime.fromisoformat(found[-1]["time"].replace("Z", "+00:00")) < done:
            found.append(json.loads(viewer.stdout.readline()))
        found.append(json.loads(viewer.stdout.readline()))
        viewer.terminate()
    return found


def row_in(sample: dict[str, Any]) -> dict[str, Any]:
    (row,) = sample["processes"]
    return dict(row)


MATRIX = {
    "root of its own": ({}, {}, True),
    "root of another's": (NOBODY, {}, True),
    "a user of his own": (NOBODY, NOBODY, True),
    "a user of root's": ({}, NOBODY, False),
}


@pytest.mark.parametrize("case", MATRIX)
def test_disk_bytes_and_the_call_are_those_of_proc(case: str) -> None:
    whose, who, may_know = MATRIX[case]
    if who and why_not_as_nobody():
        pytest.skip(why_not_as_nobody())
    with place() as device, worker(device, **whose) as process:
        before = kernels_own(process.pid)
        found = samples_of_work(process, **who)
        grown = {k: v - before[k] for k, v in kernels_own(process.pid).items()}
        rows = [row_in(one) for one in found]
        if not may_know:
            keys = ("disk_read_bytes", "disk_write_bytes", "syscall_now")
            assert all(row[key] is None for row in rows for key in keys)
            return
        read, written = (
            sum(row[key] for row in rows) for key in ("disk_read_bytes", "disk_write_bytes")
        )
        assert (read, written) == (grown["read_bytes"], grown["write_bytes"])
        assert (read, written) == (READS * PAGE, WRITES * PAGE)
        last = found[-1]
        assert rows[0]["syscall_now"] == row_in(last)["syscall_now"] == "read"
        (other,) = (row for row in last["threads"] if row["tid"] != process.pid)
        assert other["syscall_now"] == "clock_nanosleep" and other["disk_read_bytes"] == 0
        # of requests and since when, /proc says nothing
        assert rows[0]["disk_reads"] is None and rows[0]["syscall_now_ns"] is None


def readers(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def viewer(*words: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """ebtop that has given up its privileges, and the reader."""
    process = subprocess.Popen(
        command("--json", "-d", "0.2", "--source", "proc", *words), stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        process.stdout.readline()
        (reader,) = readers(process.pid)
        yield process, reader
    finally:
        process.kill()
        process.communicate()


def test_only_the_reader_holds_what_it_takes_and_it_has_nothing_open() -> None:
    with viewer() as (process, reader):
        held = {}
        for pid in (process.pid, reader):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            held[pid] = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        assert int(held[process.pid]["CapEff"], 16) == 0
        wanted = bit("CAP_SYS_PTRACE") | bit("CAP_DAC_READ_SEARCH")
        assert int(held[reader]["CapEff"], 16) == int(held[reader]["CapPrm"], 16) == wanted
        assert held[reader]["NoNewPrivs"] == "1" and int(held[reader]["CapBnd"], 16) == 0
        assert held[reader]["Uid"] == held[process.pid]["Uid"]
        links = [os.readlink(path) for path in Path(f"/proc/{reader}/fd").iterdir()]
        assert len(links) == 2 and all(link.startswith("pipe:") for link in links)


def until_gone(pid: int) -> None:
    end = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and "Z" not in state(pid):
        assert time.monotonic() < end, "it stays"
        time.sleep(0.02)


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_reader_ends_with_ebtop(number: signal.Signals) -> None:
    with viewer() as (process, reader):
        process.send_signal(number)
        process.wait(20)
        until_gone(reader)


def test_without_the_reader_the_rest_goes_on() -> None:
    with viewer("-p", str(os.getpid())) as (process, reader):
        assert process.stdout is not None
        os.kill(reader, signal.SIGKILL)
        until_gone(reader)
        rows = [row_in(json.loads(process.stdout.readline())) for _ in range(4)]
        assert rows[-1]["disk_read_bytes"] is None and rows[-1]["syscall_now"] is None
        assert rows[-1]["oncpu_ns"] is not None
        process.terminate()
        assert process.wait(20) == 0
