# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A program that a thread other than the leader executes, as Go does it: the process goes on, with
all that it has done, whatever its leader and its other threads were doing.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Optional

import pytest
from following import Follower
from observe import EMULATED, allowed, opened, watch, workload
from running import ebtop

from ebtop.model.layout import COUNTERS
from ebtop.sources.bpf import Session

CALLS, LAST_CALLS = 101, 53
BYTES = 100_003


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("handover") / "file"
    path.write_bytes(bytes(BYTES))
    return str(path)


def begin(*words: str) -> int:
    program = workload("handover", static=True)
    return os.posix_spawn(program, [program, *words], dict(os.environ))


def sums(session: Session, pid: int, every_s: float) -> tuple[Counter[str], Counter[str], set[int]]:
    """All that rows of this process and of its threads said until it ended, and which threads the
    last snapshot said to live."""
    process: Counter[str] = Counter()
    threads: Counter[str] = Counter()
    while True:
        over = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        watch(session, every_s)
        snapshot = session.refresh(threads=True)
        for table, counts in ((snapshot.processes, process), (snapshot.threads, threads)):
            for row in table.rows():
                if row["pid"] == pid:
                    counts.update({name: row[name] for name in COUNTERS})
        if over:
            return process, threads, {r["tid"] for r in snapshot.processes.rows()
                                      if r["pid"] == pid and r["threads"]}  # fmt: skip


def parts(counts: Counter[str]) -> int:
    return counts["oncpu_ns"] + counts["offcpu_ns"] + counts["runq_wait_ns"]


def ended(pid: int) -> tuple[int, resource.struct_rusage]:
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), usage


@pytest.mark.parametrize("leader", ["pause", "end", "spin"])
@pytest.mark.parametrize(
    ("every_s", "times", "ms", "others"), [(0.03, 1, 60, 0), (0.1, 5, 5, 5), (0.4, 13, 1, 1)]
)
def test_all_that_it_did_is_its_own(
    file: str, every_s: float, times: int, ms: int, others: int, leader: str
) -> None:
    with opened() as session:
        pid = begin(str(times), str(ms), str(others), leader, file)
        process, threads, living = sums(session, pid, every_s)
        code, usage = ended(pid)
    assert code == 7 and not living
    # what a thread does after it was summed up is a few microseconds each
    late = (others + 2) * times * (50e-6 if EMULATED else 20e-6)
    truth = usage.ru_utime + usage.ru_stime
    assert process["oncpu_ns"] / 1e9 == pytest.approx(truth, abs=0.001 + late)
    assert threads["oncpu_ns"] == process["oncpu_ns"]
    assert process["syscalls_network"] == times * CALLS + LAST_CALLS
    assert process["file_read_bytes"] == times * BYTES
    # the machine's clock is not the kernel's charge, which an emulator shows
    assert parts(process) == pytest.approx(process["lifetime_ns"], rel=0.02, abs=2e6 * times)
    assert process["voluntary_switches"] == pytest.approx(usage.ru_nvcsw, abs=2)


def test_one_that_cannot_go_back_ends_as_one(file: str, tmp_path: Path) -> None:
    """The kernel has ended all other threads when it finds that the program cannot be mapped."""
    broken = tmp_path / "broken"
    broken.write_bytes(_unmappable(Path(workload("handover", static=True)).read_bytes()))
    broken.chmod(0o755)
    with opened() as session:
        pid = begin("1", "50", "3", "fail", str(broken))
        process, _, living = sums(session, pid, 0.05)
        code, usage = ended(pid)
        watch(session, 3)
        left = [row for row in session.refresh().processes.rows() if row["pid"] == pid]
    assert code in (-signal.SIGSEGV, -signal.SIGKILL) and not living and not left
    truth = usage.ru_utime + usage.ru_stime
    assert process["oncpu_ns"] / 1e9 == pytest.approx(truth, abs=0.002)


def _unmappable(program: bytes) -> bytes:
    """The same with its segments beyond what a process can have."""
    changed = bytearray(program)
    at, size, count = (int.from_bytes(program[o : o + n], "little")
                       for o, n in ((32, 8), (54, 2), (56, 2)))  # fmt: skip
    for header in range(at, at + size * count, size):
        if program[header : header + 4] == b"\1\0\0\0":
            changed[header + 16 : header + 24] = (0xFFFF << 48).to_bytes(8, "little")
    return bytes(changed)


@pytest.mark.parametrize("leader", ["pause", "end"])
def test_one_that_was_there_before_loses_nothing(file: str, leader: str) -> None:
    """The session begins while the thread burns: it may never have switched before its exec."""
    for ms in (1500, 6000, 24000):
        pid = begin("1", str(ms), "2", leader, file)
        with Session() as session:
            least = _charged_ns(pid)
            session.refresh()
            most = _charged_ns(pid)
            process, _, _ = sums(session, pid, 0.1)
            _, usage = ended(pid)
        truth = usage.ru_utime + usage.ru_stime
        # where beginning a session takes as long as all the burning it proves nothing
        if truth - most / 1e9 > 1.5:
            break
    # what it was charged is brought up to date at ticks
    tick = 0.02 if not EMULATED else 0.1
    assert truth - most / 1e9 - tick <= process["oncpu_ns"] / 1e9 <= truth - least / 1e9 + tick
    assert process["oncpu_ns"] > 1.4e9


def _charged_ns(pid: int) -> int:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def test_its_exit_line_has_its_time_once(file: str) -> None:
    def mark() -> None:
        subprocess.run(["/bin/true"], check=True)

    with Follower(mark, "exec", "--json") as follower:
        pids = {begin("2", "80", "2", leader, file): leader for leader in ("pause", "end", "spin")}
        truth = {pid: ended(pid)[1] for pid in pids}
        events = follower.end()
    lines = {event["pid"]: event for event in events if event["type"] == "exit"}
    for pid, usage in truth.items():
        spent = (usage.ru_utime + usage.ru_stime) * 1e9
        # the last steps of each thread that ended are not in wait4(2)'s account
        late = 3e6 if not EMULATED else 10e6
        assert lines[pid]["oncpu_ns"] == pytest.approx(spent, abs=late), pids[pid]
        assert lines[pid]["exit_code"] == 7


@pytest.mark.parametrize("leader", ["pause", "end", "spin"])
def test_run_reports_it_whole(file: str, leader: str) -> None:
    program = workload("handover", static=True)
    done = ebtop("run", "--json", "--", program, "2", "80", "2", leader, file, timeout=allowed(60))
    report = json.loads(done.stdout)
    total, usage = report["total"], report["usage"]
    told: Optional[int] = usage["user_ns"] + usage["kernel_ns"] - usage["held_ns"]
    assert report["exit_code"] == 7 and len(report["processes"]) == 1
    assert total["oncpu_ns"] == pytest.approx(told, abs=3e6)
    assert total["syscall_categories"]["network"] == 2 * CALLS + LAST_CALLS
