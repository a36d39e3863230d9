# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Known work for each value of a process that is not time or a switch: memory, faults, system
calls, its cgroup, its beginning, its state. Each against a prime number and the kernel's files."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Iterator

import pytest
from observe import opened, row_of, start, until_asleep, until_done, value, watch

from ebtop.sources.cgroups import mount_point

PAGE = os.sysconf("SC_PAGE_SIZE")
# since 6.2 the kernel's counters of memory lag by at most a batch a CPU, in three kinds
LAG_BYTES = 3 * max(32, 2 * (os.cpu_count() or 1)) * (os.cpu_count() or 1) * PAGE
CALLS = {
    "file_io": 1009 + 1,  # the line that says it is done; the read before began unseen
    "memory": 503,
    "network": 251,
    "process": 2003,
    "time": 127,
    "sync": 307,
    "signal": 401,
    "other": 601,
}
FAILING = 1009 + 251


def worked(*arguments: str, probes: list[str] | None = None) -> dict[str, Any]:
    """What a row says of the work alone, and under `status` and `stat` what the kernel says."""
    process = start(*arguments)
    until_asleep(process.pid)
    with opened(probes) as session:
        session.refresh(reset=True)
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        until_done(process)
        row = row_of(session.refresh(cumulative=True), process.pid)
        status = Path(f"/proc/{process.pid}/status").read_text()
        stat = Path(f"/proc/{process.pid}/stat").read_text()
        process.kill()
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
        watch(session, 0.1)
        end = row_of(session.refresh(cumulative=True), process.pid, gone=True)
    lines = (line.split(":") for line in status.splitlines() if line.endswith(" kB"))
    memory = {name: int(words.split()[0]) * 1024 for name, words in lines}
    return {
        "row": row, "end": end, "status": memory, "used": used,
        "stat": stat.rpartition(")")[2].split(),
    }  # fmt: skip


def test_faults_and_memory_of_a_prime_number_of_pages() -> None:
    found = worked("pages", "2003")
    row, status = found["row"], found["status"]
    # the pages themselves, and a few of the C library's on the way
    assert 2003 <= row["minor_faults"] <= 2003 + 40
    assert row["major_faults"] == 0
    assert row["rss_bytes"] == pytest.approx(status["VmRSS"], abs=LAG_BYTES)
    assert row["virtual_bytes"] == status["VmSize"]


def test_peak_of_memory_outlives_the_memory() -> None:
    found = worked("peak", "5003")
    row, status = found["row"], found["status"]
    assert row["peak_rss_bytes"] == pytest.approx(status["VmHWM"], abs=LAG_BYTES)
    assert row["peak_rss_bytes"] - row["rss_bytes"] == pytest.approx(5003 * PAGE, abs=2 * LAG_BYTES)
    at_most = found["used"].ru_maxrss * 1024
    assert found["end"]["peak_rss_bytes"] == pytest.approx(at_most, abs=LAG_BYTES)


def test_major_faults_of_a_prime_number_of_pages() -> None:
    """Of a file on a disk that nobody holds in memory: one of our own, or, where that lies in
    memory (as in a guest), the compiler, which runs for no one at this moment.
    """
    command = ["cc", "-print-prog-name=cc1"]
    compiler = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    with tempfile.NamedTemporaryFile(dir="/var/tmp", prefix="ebtop-") as own:
        own.write(bytes(8 * 211 * PAGE))  # it touches every eighth page
        own.flush()
        os.fsync(own.fileno())
        for name in (own.name, compiler):
            found = worked("file", "211", name)
            kernel = int(found["stat"][9])
            assert found["row"]["major_faults"] == found["end"]["major_faults"] == kernel
            if kernel == 211:
                return
    pytest.fail(f"{kernel} pages of {compiler} had to be read, not 211")


def test_system_calls_of_a_prime_number_of_each_kind() -> None:
    row = worked("calls", "0")["row"]
    assert {kind: value(row, f"syscalls_{kind}") for kind in CALLS} == CALLS
    assert value(row, "syscalls") == sum(CALLS.values())
    assert value(row, "syscall_errors") == FAILING


def test_time_in_system_calls_is_that_of_a_prime_number_of_sleeps() -> None:
    with opened() as session:
        process = start("sleeps", "1009")
        until_done(process)
        row = row_of(session.refresh(cumulative=True), process.pid)
        process.kill()
        process.wait()
    assert row["syscalls_time"] == 1009
    assert row["syscall_ns"] >= 1009 * 200_000
    # what is neither in a call nor running in user mode is the wait in pause(2), not yet over
    assert row["syscall_ns"] <= row["offcpu_ns"] + row["runq_wait_ns"] + row["oncpu_ns"]


@pytest.fixture
def cgroup() -> Iterator[Path]:
    root = mount_point(Path("/proc/self/mounts").read_bytes())
    assert root is not None, "no cgroup2 file system is mounted"
    folder = Path(os.fsdecode(root)) / f"ebtop-test-{os.getpid()}"
    folder.mkdir()
    try:
        yield folder
    finally:
        folder.rmdir()


def test_cgroup_is_the_one_it_is_in(cgroup: Path) -> None:
    process = start("wait", "0")
    with opened() as session:
        first = row_of(session.refresh(), process.pid)["cgroup_id"]
        (cgroup / "cgroup.procs").write_text(str(process.pid))
        # to move is no event of the process: it shows when its record is read next
        os.kill(process.pid, signal.SIGCONT)
        watch(session, 2.5)
        moved = row_of(session.refresh(), process.pid)["cgroup_id"]
        with opened() as latecomer:
            met = row_of(latecomer.refresh(), process.pid)["cgroup_id"]
        process.kill()
        process.wait()
    assert moved == met == cgroup.stat().st_ino != first


def test_begin_is_the_kernels() -> None:
    with opened() as session:
        process = start("wait", "0")
        until_asleep(process.pid)
        row = row_of(session.refresh(), process.pid)
        stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        process.kill()
        process.wait()
    ticks = row["start_ns"] * os.sysconf("SC_CLK_TCK") // 1_000_000_000
    assert ticks == int(stat[19])


@pytest.mark.parametrize(("words", "number", "state"), [
    (("spin", "60000"), None, "R"),
    (("wait", "0"), None, "S"),
    (("wait", "0"), signal.SIGSTOP, "T"),
])  # fmt: skip
def test_state_is_that_of_ps(words: tuple[str, ...], number: int | None, state: str) -> None:
    process = start(*words)
    with opened() as session:
        until_asleep(process.pid, "R" if state == "R" else "S")
        if number is not None:
            process.send_signal(number)
            until_asleep(process.pid, state)
        row = row_of(session.refresh(), process.pid)
        process.kill()
        process.wait()
    assert chr(row["state"]) == state
