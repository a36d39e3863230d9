# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Bytes of regular files are exact, by whatever call they are moved; hits of the cache are near."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from typing import Any, Optional

import pytest
from observe import EMULATED, row_of, until_asleep, value, workload
from running import command

from ebtop.model.process_table import hit_ratio
from ebtop.model.snapshot import Snapshot
from ebtop.sources.bpf import Session

SIZE = 1009 * 4096 + 17
"""Of the file that is read: a prime number of pages, and some bytes."""
STEPS = {
    "read": (SIZE, 0), "thread": (SIZE, 0), "pread": (10007, 0), "readv": (3 * 204, 0),
    "write": (0, 20011), "pwrite": (0, 30011), "writev": (0, 3 * 204),
    "sendfile": (100003, 100003), "splice": (4099, 4099), "copy": (90001, 90001), "map": (0, 0),
    "others": (0, 0),
}  # fmt: skip
"""What is read and written in each."""


class Worker:
    """The workload `files`, a step at a time."""

    def __init__(self, source: str, target: Path, steps: list[str]) -> None:
        pipe = subprocess.PIPE
        words = [workload("files"), source, str(target), *steps]
        self.process = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True)
        self.pid = self.process.pid
        self._expect("ready")

    def _expect(self, line: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == line + "\n"
        until_asleep(self.pid)

    def step(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self._expect("done")


@contextmanager
def working(source: str, target: Path, *steps: str) -> Iterator[Worker]:
    worker = Worker(source, target, list(steps))
    try:
        yield worker
    finally:
        worker.process.kill()
        worker.process.communicate()


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "source"
    path.write_bytes(os.urandom(SIZE))
    return str(path)


def opened(*more: str) -> Session:
    session = Session(["sched", "life", "tasks", "vfs", *more])
    session.refresh()
    return session


def by_path(snapshot: Snapshot) -> dict[bytes, tuple[int, int]]:
    assert snapshot.files is not None
    return {r["path"]: (r["read_bytes"], r["write_bytes"]) for r in snapshot.files.rows()}


def moved(snapshot: Snapshot, pid: int) -> tuple[Optional[int], Optional[int]]:
    row = row_of(snapshot, pid)
    return value(row, "file_read_bytes"), value(row, "file_write_bytes")


def test_bytes_are_exact_whatever_call_moves_them(source: str, tmp_path: Path) -> None:
    with working(source, tmp_path / "target", *STEPS) as worker, opened() as session:
        found = {}
        for name in STEPS:
            worker.step()
            found[name] = moved(session.refresh(), worker.pid)
        total = row_of(session.refresh(cumulative=True), worker.pid)
    assert found == STEPS
    assert total["file_read_bytes"] == sum(read for read, _ in STEPS.values())
    assert total["file_write_bytes"] == sum(written for _, written in STEPS.values())


def test_bytes_through_io_uring_are_exact(source: str, tmp_path: Path) -> None:
    with working(source, tmp_path / "target", "read", "ring") as worker, opened() as session:
        worker.step()
        session.refresh()
        session.look_at(worker.pid)
        worker.step()
        snapshot = session.refresh()
    (probe,) = (probe for probe in snapshot.probes if probe.name == "vfs")
    if "without io_uring" in probe.hook:  # before Linux 5.19
        assert moved(snapshot, worker.pid) == (0, 0)
        return
    row = row_of(snapshot, worker.pid)
    assert moved(snapshot, worker.pid) == (10007, 2 * 20011)
    assert (row["cached_read_bytes"], row["cache_added_bytes"]) == (0, 0)
    assert hit_ratio(row) is None, "nothing tells whether the cache had them"
    assert by_path(snapshot)[os.fsencode(source)] == (10007, 0)


def cold_file(tmp_path: Path) -> str:
    """A file that lies in the page cache when it is read, and that nobody maps."""
    if EMULATED:  # what is written there is in memory only
        return sorted(glob("/usr/lib/*/libc.a"))[0]
    path = tmp_path / "cold"
    path.write_bytes(os.urandom(1009 * 4096))
    return str(path)


def test_file_read_twice_has_no_hits_then_nothing_else(tmp_path: Path) -> None:
    steps = ("read", "drop", "read", "read", "others")
    with working(cold_file(tmp_path), tmp_path / "target", *steps) as worker, opened() as session:
        ratios = []
        for _ in steps:
            worker.step()
            row = row_of(session.refresh(), worker.pid)
            ratios.append(hit_ratio(row))
    _, dropped, first, second, others = ratios
    assert dropped is None and others is None, "nothing was read"
    assert first is not None and first < 0.02
    assert second is not None and second > 0.99


def test_pages_that_writes_and_mappings_add_are_no_misses(tmp_path: Path) -> None:
    cold = cold_file(tmp_path)
    steps = ("read", "write", "pwrite", "pread", "drop", "map", "pread")
    with working(cold, tmp_path / "target", *steps) as worker, opened() as session:
        worker.step()
        session.refresh()
        for _ in steps[1:4]:
            worker.step()
        warm = row_of(session.refresh(), worker.pid)
        for _ in steps[4:]:
            worker.step()
        mapped = row_of(session.refresh(), worker.pid)
    # 10007 bytes each time, which were in the cache: by a read, then by page faults
    assert (warm["cached_read_bytes"], warm["cache_added_bytes"]) == (10007, 0)
    assert (mapped["cached_read_bytes"], mapped["cache_added_bytes"]) == (10007, 0)
    assert hit_ratio(warm) == hit_ratio(mapped) == 1.0


def test_direct_reads_say_nothing_of_the_cache(tmp_path: Path) -> None:
    if EMULATED:
        return  # the guest's files take no direct reads
    with (
        working(cold_file(tmp_path), tmp_path / "target", "direct") as worker,
        opened() as session,
    ):
        worker.step()
        row = row_of(session.refresh(), worker.pid)
    assert row["file_read_bytes"] == 8192 and hit_ratio(row) is None


def test_files_of_proc_are_read_and_not_cached() -> None:
    with opened() as session:
        for _ in range(101):
            os.close(os.open("/proc/self/status", os.O_RDONLY))
        fd = os.open("/proc/self/status", os.O_RDONLY)
        session.refresh()
        length = len(os.pread(fd, 1 << 20, 0))
        row = row_of(session.refresh(), os.getpid())
        os.close(fd)
    # the session's own reads of /proc are there too
    assert row["file_read_bytes"] >= length > 0 and hit_ratio(row) is None


def test_opens_are_counted_by_process_while_their_probe_is_on(source: str, tmp_path: Path) -> None:
    steps = ["opens"] * 3
    with working(source, tmp_path / "target", *steps) as worker, opened() as session:
        worker.step()
        assert value(row_of(session.refresh(), worker.pid), "opens") is None
        session.switch(["open"])
        session.refresh()
        worker.step()
        row = row_of(session.refresh(), worker.pid)
        assert value(row, "opens") == 101 and value(row, "file_read_bytes") is None
        session.switch(["open", "vfs", "syscall"])
        session.refresh()
        worker.step()
        row = row_of(session.refresh(), worker.pid)
        assert (value(row, "opens"), value(row, "file_read_bytes")) == (101, 0)


def test_counting_begins_anew_when_the_probe_comes_back(source: str, tmp_path: Path) -> None:
    with working(source, tmp_path / "target", *["pread"] * 4) as worker, opened() as session:
        worker.step()
        assert moved(session.refresh(), worker.pid) == (10007, 0)
        session.switch([])
        worker.step()
        assert moved(session.refresh(), worker.pid) == (None, None)
        session.switch(["vfs"])
        worker.step()
        assert moved(session.refresh(), worker.pid) == (10007, 0)
        session.switch(["vfs", "syscall"])
        worker.step()
        assert moved(session.refresh(), worker.pid) == (10007, 0)


def test_json_has_them_and_says_that_the_ratio_is_estimated(source: str, tmp_path: Path) -> None:
    with working(source, tmp_path / "target", "pread") as worker:
        words = command("--json", "-d", "0.5", "-p", str(worker.pid), "--probes",
                        "sched,life,tasks,vfs")  # fmt: skip
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as ebtop:
            assert ebtop.stdout is not None
            samples: list[dict[str, Any]] = [json.loads(ebtop.stdout.readline())]
            worker.step()
            while not any(sample["processes"][0]["file_read_bytes"] for sample in samples):
                assert len(samples) < 60
                samples.append(json.loads(ebtop.stdout.readline()))
            ebtop.terminate()
    (row,) = samples[-1]["processes"]
    (probe,) = (probe for probe in samples[-1]["probes"] if probe["name"] == "vfs")
    assert (row["file_read_bytes"], row["file_write_bytes"]) == (10007, 0)
    assert row["cache_hit_ratio"] == 1.0 and row["opens"] is None
    assert probe["state"] == "on" and "cache_hit_ratio is estimated" in probe["hook"]
    assert "without" in probe["hook"] and "mapped files" in probe["hook"]


def test_files_of_the_process_that_is_looked_at(source: str, tmp_path: Path) -> None:
    """Each by its path, with what that process alone moved from and to it."""
    steps = ("read", "write", "pread", "sendfile", "thread", "copy")
    target, elsewhere = tmp_path / "target", tmp_path / "elsewhere"
    one, two = working(source, target, *steps), working(source, elsewhere, "write")
    with one as worker, two as other, opened() as session:
        session.look_at(worker.pid)
        for _ in steps:
            worker.step()
        other.step()
        snapshot = session.refresh()
        assert snapshot.looked_at == worker.pid
        assert by_path(snapshot) == {
            os.fsencode(source): (2 * SIZE + 10007 + 100003 + 90001, 0),
            os.fsencode(target): (0, 20011 + 100003 + 90001),
        }
        session.look_at(other.pid)
        assert by_path(session.refresh()) == {}
        session.look_at(0)
        assert by_path(session.refresh()) == {}


def test_name_that_is_too_long_is_cut_and_says_so(source: str, tmp_path: Path) -> None:
    with working(source, tmp_path / ("y" * 67), "write") as worker, opened() as session:
        session.look_at(worker.pid)
        worker.step()
        assert list(by_path(session.refresh())) == [
            os.fsencode(tmp_path / ("y" * 39)) + "…".encode()
        ]


def test_a_file_in_no_folder_has_its_name() -> None:
    fd = os.memfd_create("work area")
    try:
        with opened() as session:
            session.look_at(os.getpid())
            session.refresh()
            os.write(fd, bytes(20_011))
            files = by_path(session.refresh())
    finally:
        os.close(fd)
    assert files[b"memfd:work area"] == (0, 20_011)
