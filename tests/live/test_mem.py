# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What programs map and unmap is exact in calls and bytes; who leaks is named, and nobody else."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Optional

import pytest
from following import Follower
from observe import EMULATED, fewer, row_of, until_asleep, value, workload
from running import command

from ebtop.model.filters import KernelFilter
from ebtop.model.layout import EXITED, NOT_COUNTED
from ebtop.model.leaks import LEAST_SPAN_S
from ebtop.sources.bpf import Session

PROBES = ("sched", "life", "tasks", "mem")
COUNTS = ("mmap_calls", "munmap_calls", "brk_calls", "allocated_bytes", "freed_bytes")
PAGE = mmap.PAGESIZE


class Worker:
    """The workload `memory`: it waits for a line before its work, and for one after it."""

    def __init__(self, *words: object) -> None:
        pipe = subprocess.PIPE
        line = [workload("memory"), *map(str, words)]
        self.process = subprocess.Popen(line, stdin=pipe, stdout=pipe, text=True)
        self.pid = self.process.pid
        until_asleep(self.pid)

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def work(self) -> tuple[int, ...]:
        """What it says that it did, in the order of COUNTS."""
        self.go_on()
        assert self.process.stdout is not None
        done = tuple(map(int, self.process.stdout.readline().split()))
        until_asleep(self.pid)
        return done

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def working(*words: object) -> Iterator[Worker]:
    worker = Worker(*words)
    try:
        yield worker
    finally:
        worker.end()


@contextmanager
def several(count: int) -> Iterator[list[Worker]]:
    with ExitStack() as stack:
        yield [stack.enter_context(working("sequence", 97)) for _ in range(count)]


def counted(session: Session, pid: int) -> tuple[Optional[int], ...]:
    row = row_of(session.refresh(), pid)
    return tuple(value(row, name) for name in COUNTS)


@pytest.mark.parametrize("beside", [(), ("syscall",), ("syscall", "open", "vfs")])
def test_calls_and_bytes_are_exact(beside: tuple[str, ...]) -> None:
    with working("sequence", 97 * 11) as worker, Session((*PROBES, *beside)) as session:
        session.refresh()
        done = worker.work()
        assert done[:3] == (97 * 11 + 2, 97 * 11 + 5, 4)
        assert counted(session, worker.pid) == done


def test_calls_by_several_threads_are_exact() -> None:
    rounds = fewer(20011)
    with working("threads", 7, rounds) as worker, Session(PROBES) as session:
        session.refresh()
        done = worker.work()
        assert done[0] == done[1] == 7 * rounds + 1
        snapshot = session.refresh(threads=True)
        found = [value(row_of(snapshot, worker.pid), name) for name in COUNTS]
        calls = [row["mmap_calls"] for row in snapshot.threads.rows() if row["pid"] == worker.pid]
        lost = snapshot.self_cost.lost["syscalls"]
        # a kernel that preempts our programs does not run them for the next thread on that CPU
        missed = 2 * done[0] - (found[0] or 0) - (found[1] or 0)
        assert 0 <= missed <= lost
        assert lost or (tuple(found) == done and sorted(calls) == [1, *[rounds] * 7])


def test_beside_threads_a_munmap_of_too_much_counts_what_was_there() -> None:
    with working("beyond", 3) as worker, Session(PROBES) as session:
        session.refresh()
        done = worker.work()
        assert done[4] == 52 * PAGE
        assert counted(session, worker.pid) == done


def test_32_bit_calls_count_too() -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("only x86-64 lets a 64-bit program make them")
    knows = " bpf_get_current_task_btf\n" in Path("/proc/kallsyms").read_text()
    with working("compat", 211) as worker, Session(PROBES) as session:
        session.refresh()
        done = worker.work()
        assert done == (212, 211, 0, (3 * 211 + 1) * PAGE, 3 * 211 * PAGE)
        # before 5.11 they cannot be told from 64-bit calls, where 64-bit code makes them
        assert counted(session, worker.pid) == (done if knows else (1, 0, 0, PAGE, 0))


def test_switched_on_and_off_it_counts_what_happens_meanwhile() -> None:
    with several(3) as (first, second, third), Session(PROBES[:3]) as session:
        session.switch(("sched", "life", "tasks", "syscall"))
        session.refresh()
        first.work()
        assert counted(session, first.pid) == (None,) * 5
        session.switch(("sched", "life", "tasks", "syscall", "mem"))
        done = second.work()
        assert counted(session, second.pid) == done
        session.switch(("sched", "life", "tasks", "mem"))
        done = third.work()
        assert counted(session, third.pid) == done
        session.switch(("sched", "life", "tasks"))
        assert counted(session, third.pid) == (None,) * 5


def test_a_filter_lets_through_what_it_names_alone() -> None:
    with several(2) as (one, other), Session(PROBES, filter=KernelFilter(pid=one.pid)) as session:
        session.refresh()
        done, _ = one.work(), other.work()
        snapshot = session.refresh()
        assert tuple(value(row_of(snapshot, one.pid), name) for name in COUNTS) == done
        assert value(row_of(snapshot, other.pid), "mmap_calls") is None


def test_sizes_of_allocations_are_counted_by_power_of_two() -> None:
    with working("sequence", 97) as worker, Session(PROBES) as session:
        session.refresh()
        worker.work()
        snapshot = session.refresh()
        assert snapshot.sizes is not None
        row = next(row for row in snapshot.sizes.rows() if row["pid"] == worker.pid)
        sizes = [row[f"sizes_{index}"] for index in range(16)]
        # 97 of 1, 2, 3, 4, 5 pages in turn; 3, and 10 and 3 more of it; 11 over others; a heap of 8
        assert sum(sizes) == 97 + 3 + 1 + 1
        if PAGE == 4096:
            assert sizes == [20, 39 + 2, 38, 3, *[0] * 12]


# ---- resident memory ----


def status_of(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    words = (line.split() for line in lines)
    return {part[0][:-1]: int(part[1]) * 1024 for part in words if part[2:] == ["kB"]}


def test_parts_of_resident_memory_are_the_kernels() -> None:
    with working("peak", 2003) as worker, Session(PROBES[:3]) as session:
        session.refresh()
        worker.work()
        row, own = row_of(session.refresh(), worker.pid), status_of(worker.pid)
        slack = 64 * PAGE * (os.cpu_count() or 1)  # the kernel's own counters lag by a batch a CPU
        names = {"rss_anon_bytes": "RssAnon", "rss_file_bytes": "RssFile",
                 "rss_shmem_bytes": "RssShmem", "swap_bytes": "VmSwap"}  # fmt: skip
        for name, theirs in names.items():
            assert abs(row[name] - own[theirs]) <= slack, name
        assert row["virtual_bytes"] == own["VmSize"]
        maps = Path(f"/proc/{worker.pid}/maps").read_text().splitlines()
        # what the kernel shows beside: vsyscall
        assert row["mappings"] == sum("[vsyscall]" not in line for line in maps)


def test_peak_is_what_the_parent_is_told() -> None:
    with Session(PROBES[:3]) as session:
        session.refresh()
        with working("peak", 3001) as worker:
            worker.work()
            worker.go_on()
            _, _, usage = os.wait4(worker.pid, 0)
            worker.process.returncode = 0
            row = row_of(session.refresh(), worker.pid, gone=True)
    assert row["flags"] & EXITED and row["rss_anon_bytes"] == NOT_COUNTED
    assert row["peak_rss_bytes"] == usage.ru_maxrss * 1024 >= 3001 * PAGE


# ---- the stream ----


def test_the_stream_tells_of_every_call_that_is_large_enough() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

    def change(pages: int) -> int:
        address: int = libc.mmap(None, pages * PAGE - 1, 3, 0x22, -1, 0)
        assert libc.munmap(address, pages * PAGE) == 0
        return address

    words = ("mem", "--json", "-p", str(os.getpid()), "--min-size", str(1009 * PAGE))
    with Follower(lambda: change(1013), *words) as follower:
        seen = len(follower.data.splitlines())
        addresses = [change(pages) for pages in (1008, 1009, 1021, 7)]
        follower.take(0.6)
        events = follower.end()[seen:]
    told = [(event["call"], event["bytes"], event["address"]) for event in events]
    assert told == [
        (call, pages * PAGE, address)
        for pages, address in ((1009, addresses[1]), (1021, addresses[2]))
        for call in ("mmap", "munmap")
    ]
    assert {event["pid"] for event in events} == {os.getpid()}


def test_the_stream_says_what_it_lost() -> None:
    with working("threads", 2, fewer(50021)) as worker:
        words = command("mem", "--json", "-p", str(worker.pid), "--buffer-size", "64K", "-d", "2")
        pipe = subprocess.PIPE
        with subprocess.Popen(words, stdout=pipe, stderr=pipe) as stream:
            time.sleep(3 if EMULATED else 1.5)
            done = worker.work()
            time.sleep(2.5)
            stream.terminate()
            out, _ = stream.communicate(timeout=60)
    events = [json.loads(line) for line in out.splitlines()]
    lost = sum(event["count"] for event in events if event["type"] == "lost")
    told = sum(event["type"] == "mem" for event in events)
    assert lost and told and told + lost == sum(done[:3])


# ---- leaks ----

STEADY = (
    "still 0", "saw 64 3100", "saw 40 11000", "start 256 9000", "curve 256 30000", "cache 512",
    "churn 2048", "heap 256", "reserve 1024", "touch 64",
)  # fmt: skip


@pytest.mark.long("it watches for more than a minute")
def test_a_leak_is_named_within_a_minute_and_ten_steady_programs_are_not() -> None:
    samples = subprocess.Popen(
        command("--json", "--probes", ",".join(PROBES)), stdout=subprocess.PIPE, text=True
    )
    assert samples.stdout is not None
    samples.stdout.readline()
    began = time.monotonic()
    workers = {words: for_longer(words) for words in ("leak 40", *STEADY)}
    named: dict[int, dict[str, Any]] = {}
    after: Optional[float] = None
    try:
        while time.monotonic() - began < LEAST_SPAN_S + 25:
            for process in json.loads(samples.stdout.readline())["processes"]:
                for hint in process["memory_hints"] or ():
                    if hint["kind"] == "leak":
                        named.setdefault(process["pid"], hint)
                if workers["leak 40"].pid in named and after is None:
                    after = time.monotonic() - began
    finally:
        for worker in (*workers.values(), samples):
            worker.kill()
            worker.wait()
    wrongly = [words for words in STEADY if workers[words].pid in named]
    assert not wrongly
    hint = named[workers["leak 40"].pid]
    assert after is not None and after < 60
    assert hint["r2"] > 0.95 and 200_000 < hint["bytes_per_s"] < 500_000
    assert hint["limit"] in ("machine", "cgroup") and hint["full_s"] > 0


def for_longer(words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([workload("memory"), *words.split()])


def test_many_small_mappings_are_named() -> None:
    with working("fragments", 5003) as worker:
        worker.work()
        words = command("--json", "-n", "1", "-d", "0.2", "-p", str(worker.pid))
        out = subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout
        (process,) = json.loads(out)["processes"]
    hints = {hint["kind"]: hint for hint in process["memory_hints"]}
    assert hints["fragmentation"]["mappings"] == process["mappings"] > 10_000
