# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what tests of disk requests share: a place on a real disk, devices and file systems on top
of it, requests made one by one, and a snapshot that can be held against /proc/diskstats. It checks
nothing.
"""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Optional

import pytest
from bpfmaps import Map, described
from observe import EMULATED

from ebtop.model.snapshot import Snapshot
from ebtop.sources.bpf import Session
from ebtop.sources.diskstats import DiskStat, parse_diskstats

BLOCK = 4096
_NOTE = struct.Struct("QQQIIIIIII")
"""The first fields of struct block_note in bpf/diskcounts.bpf.h."""
_DONE = 1  # NOTE_DONE there
_GUEST_DISK = "/dev/vda"
_FOLDERS = ("/var/tmp", str(Path(__file__).resolve().parents[2]), "/root")


@dataclass(frozen=True)
class Place:
    """A file of some MiB, or in a guest the whole disk, that may be written over."""

    path: str
    disk: bytes
    blocks: int
    """Of `BLOCK` bytes, all of them on the disk already."""


def disk_of(path: str) -> Optional[bytes]:
    """The whole disk that a path lies on; None when it lies on none."""
    number = os.stat(path).st_rdev if path.startswith("/dev/") else os.stat(path).st_dev
    folder = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    if not folder.exists():
        return None
    folder = folder.resolve()
    return os.fsencode((folder.parent if (folder / "partition").exists() else folder).name)


@contextmanager
def place(blocks: int = 1024) -> Iterator[Place]:
    """Skips where there is no disk: in a container on something stacked, say."""
    if EMULATED and os.path.exists(_GUEST_DISK):
        yield Place(_GUEST_DISK, os.fsencode(os.path.basename(_GUEST_DISK)), blocks)
        return
    folder = next((f for f in _FOLDERS if os.path.isdir(f) and disk_of(f)), None)
    if folder is None:
        pytest.skip(f"none of {', '.join(_FOLDERS)} is on a disk that requests go to")
    with tempfile.NamedTemporaryFile(dir=folder, prefix="ebtop-disk-") as file:
        file.write(os.urandom(BLOCK) * blocks)
        file.flush()
        os.fsync(file.fileno())
        name = disk_of(folder)
        assert name is not None
        yield Place(file.name, name, blocks)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return done.stdout.strip()


@contextmanager
def looped(path: str, mib: int) -> Iterator[Place]:
    """A loop device over the first so many MiB."""
    device = run("losetup", "--find", "--show", f"--sizelimit={mib}M", path)
    try:
        yield Place(device, os.fsencode(os.path.basename(device)), mib * 256)
    finally:
        run("losetup", "--detach", device)


def can_map() -> bool:
    """Whether this kernel has a device mapper."""
    return os.path.exists("/dev/mapper/control") and shutil.which("dmsetup") is not None


@contextmanager
def mapped(below: Place) -> Iterator[Place]:
    """A linear device of the device mapper over another; its requests are those of that one."""
    name = f"ebtop-{os.getpid()}"
    table = f"0 {below.blocks * 8} linear {below.path} 0"
    run("dmsetup", "create", "--noudevsync", name, "--table", table)
    try:
        run("dmsetup", "mknodes", name)
        yield Place(f"/dev/mapper/{name}", below.disk, below.blocks)
    finally:
        run("dmsetup", "remove", "--noudevsync", "--retry", name)


def schedulers(disk: bytes) -> list[str]:
    text = Path(f"/sys/block/{os.fsdecode(disk)}/queue/scheduler").read_text()
    return text.replace("[", "").replace("]", "").split()


@contextmanager
def scheduled(disk: bytes, name: str) -> Iterator[None]:
    """The disk's requests go through that scheduler."""
    path = Path(f"/sys/block/{os.fsdecode(disk)}/queue/scheduler")
    before = path.read_text().partition("[")[2].partition("]")[0]
    path.write_text(name)
    try:
        yield
    finally:
        path.write_text(before)


@contextmanager
def filesystem(device: Place) -> Iterator[str]:
    """A folder on an ext4 of its own."""
    run("mkfs.ext4", "-q", "-F", device.path)
    with tempfile.TemporaryDirectory(prefix="ebtop-disk-") as folder:
        run("mount", "-t", "ext4", device.path, folder)
        try:
            yield folder
        finally:
            run("umount", folder)


def read_direct(
    path: str, count: int, size: int, start: int = 0, step: Optional[int] = None
) -> None:
    """So many requests of `size` bytes, past the page cache, `step` bytes apart."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    with mmap.mmap(-1, size) as buffer:
        for number in range(count):
            assert os.preadv(fd, [buffer], start + number * (step or size)) == size
    os.close(fd)


def write_direct(path: str, count: int, size: int, start: int = 0) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_DIRECT)
    with mmap.mmap(-1, size) as buffer:
        for number in range(count):
            assert os.pwritev(fd, [buffer], start + number * size) == size
    os.close(fd)


class Untold(NamedTuple):
    """What a session knows to be under way."""

    reads: int
    read_bytes: int
    writes: int
    write_bytes: int


def untold(owner: Optional[int] = None) -> Untold:
    """Requests of a process, or of all, whose completion the session here was not told of.

    Where a kernel runs no program while certain tasks are current, a completion that interrupts
    such a task is told to nobody; the request is counted when the kernel uses its struct again.
    With nothing under way, what is left is all that is missing.
    """
    counts = [0] * 6
    for number in described(os.getpid()):
        found = Map(number)
        values = list(found.values()) if found.name == "block_notes" else []
        found.close()
        for value in values:
            _, issued_ns, _, pid, _, _, _, left, flags, group = _NOTE.unpack_from(value)
            if issued_ns and not flags & _DONE and owner in (None, pid):
                counts[2 * group] += 1
                counts[2 * group + 1] += left
    return Untold(*counts[:4])


def stat_of(disk: bytes) -> DiskStat:
    return parse_diskstats(Path("/proc/diskstats").read_bytes())[disk]


def _at_rest(stat: DiskStat) -> tuple[int, ...]:
    return (stat.reads, stat.read_bytes, stat.writes, stat.write_bytes)


class Sums:
    """All that a session tells, interval by interval: of each disk, and of all processes together,
    those that have ended included."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.disks: dict[bytes, Counter[str]] = {}
        self.processes: Counter[str] = Counter()

    def refresh(self) -> Snapshot:
        snapshot = self._session.refresh()
        assert snapshot.disks is not None
        for row in snapshot.disks.rows():
            sums = self.disks.setdefault(row["name"], Counter())
            sums.update({name: row[name] for name in Untold._fields})
        for name in Untold._fields:
            self.processes[name] += sum(snapshot.processes.column("disk_" + name))
        return snapshot

    def at_rest(self, disk: bytes) -> DiskStat:
        """Refreshes until the disk has nothing to do; the kernel's counts of that moment."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            before = stat_of(disk)
            self.refresh()
            after = stat_of(disk)
            if _at_rest(before) == _at_rest(after) and not after.in_flight:
                return after
            time.sleep(0.02)
        pytest.skip(f"{disk!r} is never at rest here")
