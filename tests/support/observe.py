# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what tests on a real kernel share: workloads compiled once, and sessions read properly."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

from ebtop.model.layout import EXITED, KNOWN_BIT
from ebtop.model.snapshot import Snapshot
from ebtop.sources.bpf import Session

EMULATED = os.environ.get("EBTOP_VM") == "1"
"""In an emulated machine: counts are as exact as anywhere, but all takes ten times as long."""
WORKLOADS = Path(__file__).resolve().parent / "workloads"
_built: dict[str, str] = {}
_folder = tempfile.TemporaryDirectory(prefix="ebtop-live-")


PREEMPTED = EMULATED and int(os.uname().release.split(".")[0]) >= 7
"""This kernel preempts the programs of system calls, and in an emulated machine often does: then it
does not run them for the thread that is next on that CPU, which is counted as lost."""


def unexpected(lost: Mapping[str, int]) -> dict[str, int]:
    """What should not have been lost, by cause."""
    return {cause: count for cause, count in lost.items()
            if count and not (PREEMPTED and cause == "syscalls")}  # fmt: skip


def fewer(count: int) -> int:
    """A prime number: `count`, or where all is slow, one that is about a tenth of it."""
    return count if not EMULATED else next(n for n in range(count // 10, count) if _is_prime(n))


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def allowed(seconds: float) -> float:
    """A limit of time that holds here, of what may take `seconds` on a real machine."""
    return seconds * (10 if EMULATED else 1)


def workload(name: str, static: bool = False) -> str:
    """The path of a compiled workload."""
    if name not in _built:
        path = str(Path(_folder.name) / name)
        source = str(WORKLOADS / f"{name}.c")
        flags = ["-static"] if static else []
        command = ["cc", "-O2", "-pthread", *flags, source, "-o", path]
        subprocess.run(command, check=True)
        _built[name] = path
    return _built[name]


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """The workload `act`; its standard output and input are pipes."""
    command = [workload("act"), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, **options)


def python(code: str) -> subprocess.Popen[str]:
    """A Python process that can import ebtop; its standard output and input are pipes."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)


def until_done(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "done\n"
    until_asleep(process.pid)


def until_asleep(pid: int, state: str = "S") -> None:
    """It has done what it was told to, and its numbers stand still."""
    end = time.monotonic() + 5
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != state:
        assert time.monotonic() < end, f"{pid} does not come to rest"
        time.sleep(0.005)
    time.sleep(0.02)  # the state is set a moment before the last switch away


def opened(probes: Optional[list[str]] = None, events_bytes: int = 0) -> Session:
    """A session past its first refresh."""
    session = Session(probes, events_bytes=events_bytes)
    session.refresh()
    return session


def watch(session: Session, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
    """Drains events as they come, as every user of a session does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        wait = min(0.05, max(0.0, end - time.monotonic()))
        if session.event_fd is None:
            time.sleep(wait)
        elif select.select([session.event_fd], [], [], wait)[0]:
            session.poll()


def value(row: dict[str, Any], name: str) -> Any:
    """What a row says, None when it does not know."""
    return row[name] if row["known"] & 1 << KNOWN_BIT[name] else None


def row_of(snapshot: Snapshot, pid: int, gone: bool = False) -> dict[str, Any]:
    rows = [r for r in snapshot.processes.rows() if r["pid"] == pid]
    rows = [r for r in rows if bool(r["flags"] & EXITED) == gone]
    assert len(rows) == 1, f"{len(rows)} rows of process {pid}"
    return rows[0]


def named(snapshot: Snapshot, comm: bytes) -> Iterator[dict[str, Any]]:
    return (row for row in snapshot.processes.rows() if row["comm"] == comm)


def stolen_ns() -> int:
    """Time that the hypervisor kept all CPUs from running, by the kernel's account."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return int(words[8]) * 10_000_000


def is_paused(pid: int) -> bool:
    """Whether `act` is done: it is in pause(2), or in ppoll(2) where there is no pause."""
    return Path(f"/proc/{pid}/wchan").read_text() == "do_sys_pause" or (
        Path(f"/proc/{pid}/syscall").read_text().split()[0] in ("34", "73")
    )
