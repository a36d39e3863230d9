# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Bytes of disks belong to the process that asked for them, whoever hands its requests to the
device: held against fio's count and /proc/PID/io, to 1 %, over ways of asking and kinds of devices.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Optional

import pytest
from diskwork import BLOCK, Place, can_map, looped, mapped, place, scheduled, schedulers, untold
from fiowork import PROBES, Measured, measured, needs_fio, slow
from observe import EMULATED, row_of

from ebtop.sources.bpf import Session

MIB = 1 << 20
SIZE = 8 if EMULATED else 32
"""MiB that a job reads or writes."""


@pytest.fixture(scope="module")
def here() -> Iterator[Place]:
    with place(8192) as found:
        yield found


def exact(place: Place, way: str, *options: str, jobs: int = 1) -> Measured:
    """What fio's processes are charged with is what fio did."""
    for _ in range(3):  # what is in the page cache need not leave it when fio asks for that
        found = measured(place, f"--size={SIZE}m", *options)
        told = found.told_bytes(way)
        counted = found.counted_bytes(way)
        if way == "write":  # somebody may call sync(2) before it calls fsync(2)
            counted += sum(row["disk_written_back_bytes"] for row in found.rows)
        if counted == pytest.approx(told, rel=0.01):
            break
    assert told == jobs * SIZE * MIB
    assert counted == pytest.approx(told, rel=0.01)
    lost = found.snapshot.self_cost.lost
    assert {name: lost[name] for name in ("disk_requests", "disk_owners") if lost[name]} == {}
    return found


def options(engine: str, size: str, depth: int, *more: str) -> tuple[str, ...]:
    return (f"--ioengine={engine}", f"--bs={size}", f"--iodepth={depth}", *more)


DIRECT = [("libaio", "128k", 32), ("libaio", "1m", 8), ("io_uring", "4k", 128)]
if not EMULATED:  # where each takes ten times as long
    DIRECT += [
        ("psync", "4k", 1), ("psync", "4m", 1), ("libaio", "4k", 32), ("libaio", "4m", 4),
        ("io_uring", "1m", 16),
    ]  # fmt: skip


@needs_fio
@slow
@pytest.mark.parametrize("way", ["read", "write"])
@pytest.mark.parametrize(("engine", "size", "depth"), DIRECT)
def test_full_queue_is_charged_to_who_filled_it(
    here: Place, way: str, engine: str, size: str, depth: int
) -> None:
    exact(here, way, *options(engine, size, depth, f"--rw={way}", "--direct=1"))


BUFFERED = [("psync", "64k", 1), ("mmap", "4k", 1), ("libaio", "128k", 8), ("io_uring", "128k", 8)]


@needs_fio
@slow
@pytest.mark.parametrize(("engine", "size", "depth"), BUFFERED)
def test_what_is_read_ahead_is_charged_to_who_reads(
    here: Place, engine: str, size: str, depth: int
) -> None:
    # to the end of the device, or more is read ahead than fio asks for
    with looped(here.path, SIZE) if EMULATED else nullcontext(here) as whole:
        found = exact(whole, "read", *options(engine, size, depth, "--rw=read", "--invalidate=1"))
    assert found.row["disk_reads"] < SIZE * MIB // BLOCK // 2


SYNCED = {
    "fsync": ("--fsync=4", "--end_fsync=1"),
    "fsync at the end": ("--end_fsync=1",),
    "O_DSYNC": ("--sync=dsync",),
    "O_DSYNC, direct": ("--sync=dsync", "--direct=1"),
}
"""With few writes: each may make the file system write a block of its own."""


@needs_fio
@slow
@pytest.mark.parametrize("how", SYNCED)
def test_synchronous_writes_are_charged_to_who_waits(here: Place, how: str) -> None:
    exact(here, "write", *options("psync", "1m", 1, "--rw=write", *SYNCED[how]))


@needs_fio
@slow
@pytest.mark.parametrize("kind", ["processes", "threads"])
def test_jobs_side_by_side_have_their_own(here: Place, kind: str) -> None:
    """Processes have a row each; threads are one process."""
    more = ("--numjobs=3", f"--offset_increment={SIZE}m", *(["--thread"] * (kind == "threads")))
    found = exact(
        here, "read", *options("libaio", "128k", 16, "--rw=read", "--direct=1", *more), jobs=3
    )
    parts = sorted(row["disk_read_bytes"] for row in found.rows)[-3:]
    if kind == "processes":
        assert parts == [pytest.approx(SIZE * MIB, rel=0.01)] * 3
    else:
        assert parts[-1] == pytest.approx(3 * SIZE * MIB, rel=0.01)


# ---- devices ----

KINDS = ["loop", *(["mapped"] if EMULATED or can_map() else [])]
QUEUES = ["none", "mq-deadline", "bfq"]


@needs_fio
@slow
@pytest.mark.parametrize("queue", QUEUES)
@pytest.mark.parametrize("kind", KINDS)
def test_devices_on_others_are_charged_to_who_asks_them(here: Place, kind: str, queue: str) -> None:
    """The threads of the kernel that serve the device ask for the same bytes on the disk below. It
    is as large as what is read: around that, more would be read ahead."""
    with ExitStack() as stack:
        device = stack.enter_context(looped(here.path, SIZE))
        if queue in schedulers(device.disk):
            stack.enter_context(scheduled(device.disk, queue))
        else:
            assert schedulers(device.disk) == ["none"], "older kernels let a loop device have none"
        if kind == "mapped":
            device = stack.enter_context(mapped(device))
        exact(device, "read", *options("libaio", "128k", 32, "--rw=read", "--direct=1"))
        exact(device, "write", *options("io_uring", "64k", 16, "--rw=randwrite", "--direct=1"))
        exact(device, "write", *options("psync", "64k", 1, "--rw=write", "--end_fsync=1"))
        found = exact(device, "read", *options("mmap", "64k", 1, "--rw=read", "--invalidate=1"))
    disks = {row["name"]: row for row in found.snapshot.disks.rows()}  # type: ignore[union-attr]
    assert disks[device.disk]["read_bytes"] >= 0.99 * SIZE * MIB


@needs_fio
@slow
@pytest.mark.parametrize("queue", QUEUES if EMULATED else [None])  # a real disk is everybody's
def test_schedulers_of_a_disk_do_not_change_who_is_charged(
    here: Place, queue: Optional[str]
) -> None:
    with scheduled(here.disk, queue) if queue else ExitStack():
        exact(here, "read", *options("libaio", "128k", 32, "--rw=read", "--direct=1"))
        exact(here, "write", *options("libaio", "4k", 64, "--rw=randwrite", "--direct=1"))


def test_what_serves_a_loop_device_reads_under_its_own_name(here: Place) -> None:
    with looped(here.path, SIZE) as device, Session(PROBES) as session:
        _forget(here.path)
        session.refresh()
        _read_all(device.path)
        snapshot = session.refresh()
        late = untold()
        own = row_of(snapshot, os.getpid())
        assert own["disk_read_bytes"] + untold(os.getpid()).read_bytes == SIZE * MIB
    others = [row for row in snapshot.processes.rows() if row["pid"] not in (0, os.getpid())]
    served = sum(row["disk_read_bytes"] for row in others if row["comm"].startswith(b"kworker"))
    assert served + late.read_bytes >= 0.99 * SIZE * MIB
    assert not any(row["disk_read_bytes"] for row in snapshot.processes.rows() if not row["pid"])


# ---- merged requests ----


@needs_fio
@slow
def test_bytes_of_merged_requests_belong_to_those_who_brought_them(here: Place) -> None:
    """Two processes read every other block, so that only blocks of different ones are adjacent; and
    more at once than the device takes, so that they wait for it together."""
    stride = ("--rw=read:4k", "--direct=1", "--name=even", "--name=odd", "--offset=4k")
    merged = 0
    with looped(here.path, 32) as device, ExitStack() as stack:
        waits = "mq-deadline" in schedulers(device.disk)  # a loop device has none before 6.11
        if waits:
            stack.enter_context(scheduled(device.disk, "mq-deadline"))
            queue = Path(f"/sys/block/{os.fsdecode(device.disk)}/queue/nr_requests")
            queue.write_text("1024")
        for _ in range(9):
            found = measured(
                device, "--size=32m", f"--io_size={SIZE // 4}m",
                *options("libaio", "4k", 1024, *stride), f"--io_size={SIZE // 8}m",
            )  # fmt: skip
            assert found.told_bytes("read") == SIZE // 8 * 3 * MIB
            told = sorted(job["read"]["io_bytes"] for job in found.jobs)
            counted = sorted(row["disk_read_bytes"] for row in found.rows)[-len(told) :]
            assert counted == [pytest.approx(count, rel=0.01) for count in told]
            merged += sum(told) // BLOCK - sum(row["disk_reads"] for row in found.rows)
            if merged > 50 or not waits:
                break
    assert merged > 50 or not waits


# ---- the kernel's own account of a process ----


def _forget(path: str) -> None:
    """What was read or written last is in lists of CPUs, and does not leave the cache at once."""
    fd = os.open(path, os.O_RDWR)
    os.fsync(fd)
    for _ in range(3):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def _read_all(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    with mmap.mmap(-1, MIB) as buffer:
        for at in range(SIZE):
            assert os.preadv(fd, [buffer], at * MIB) == MIB
    os.close(fd)


def _of_kernel(name: str) -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


def test_mapped_file_is_read_by_who_touches_it(here: Place) -> None:
    with Session(PROBES) as session:
        _forget(here.path)
        session.refresh()
        before = _of_kernel("read_bytes")
        fd = os.open(here.path, os.O_RDONLY)
        with mmap.mmap(fd, SIZE * MIB, prot=mmap.PROT_READ) as pages:
            assert len({pages[at] for at in range(0, SIZE * MIB, BLOCK)}) > 0
        os.close(fd)
        told = _of_kernel("read_bytes") - before
        counted, end = 0, time.monotonic() + 5
        while counted < told and time.monotonic() < end:  # what is read ahead may be under way
            counted += row_of(session.refresh(), os.getpid())["disk_read_bytes"]
            time.sleep(0.05)
        counted += untold(os.getpid()).read_bytes
    assert told >= SIZE * MIB
    assert counted == pytest.approx(told, rel=0.01)


def test_processes_that_read_one_disk_at_once_have_their_own(here: Place) -> None:
    code = f"import sys; sys.path[:0] = {sys.path!r}; import os, sys; at = int(sys.argv[1]);" \
        f" fd = os.open({here.path!r}, os.O_RDONLY);" \
        " [os.pread(fd, 65536, at + i * 65536) for i in range(64)];" \
        " print(open('/proc/self/io').read())"  # fmt: skip
    with Session(PROBES) as session:
        _forget(here.path)
        session.refresh()
        children = [
            subprocess.Popen([sys.executable, "-c", code, str(n * 8 * MIB)],
                             stdout=subprocess.PIPE, text=True)
            for n in range(4)
        ]  # fmt: skip
        said = [child.communicate()[0] for child in children]
        snapshot = session.refresh()
        whole = 0
        for child, text in zip(children, said):
            told = int(text.partition("\nread_bytes:")[2].split()[0])
            whole += told
            row = row_of(snapshot, child.pid, gone=True)
            counted = row["disk_read_bytes"] + untold(child.pid).read_bytes
            assert counted == pytest.approx(told, rel=0.01)
    # who is first reads ahead for the others
    assert whole >= 16 * MIB
