# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What panel 4 logs of slow operations and large allocations, while it is asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from observe import allowed, python, unexpected

from ebtop.model.eventlog import EventLine, EventLog
from ebtop.model.filters import KernelFilter
from ebtop.model.layout import SLOW
from ebtop.model.slowlines import text_slow
from ebtop.probes import for_logs
from ebtop.sources.bpf import Session

SLOW_MS, READS, MAPS = 50, 7, 11
WORKER = f"""
import mmap, os, sys, time
def work():
    for _ in range({READS}):
        reader, writer = os.pipe()
        if os.fork() == 0:
            time.sleep({SLOW_MS / 1000})
            os.write(writer, b"x")
            os._exit(0)
        os.read(reader, 1)
        os.wait()
        os.close(reader)
        os.close(writer)
        time.sleep({SLOW_MS / 1000})
    for _ in range({MAPS}):
        mmap.mmap(-1, 3 << 20).close()
        mmap.mmap(-1, 1 << 16).close()
for line in sys.stdin:
    work()
    print("done", flush=True)
"""
SPINE = {"sched", "life", "tasks"}


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(filter=KernelFilter(slow_ns=SLOW_MS * 800_000, min_bytes=1 << 20)) as found:
        found.refresh()
        yield found


def lines_of_work(session: Session) -> list[EventLine]:
    """Of one that does its work once."""
    log = EventLog()
    with python(WORKER) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
        snapshot = session.refresh()
        process.kill()
    assert not unexpected(snapshot.self_cost.lost)
    log.absorb(snapshot)
    return [line for line in log.lines if line.pid == process.pid]


def test_slow_operations_and_allocations_are_logged_while_asked_for(session: Session) -> None:
    session.switch(SPINE | for_logs(frozenset()))
    lines = lines_of_work(session)
    slow = [line for line in lines if line.type == "slow"]
    reads = [line for line in slow if said(line).startswith("slow syscall read ")]
    assert len(reads) == READS
    # slept, and waited for its children: made to wait, that is no news
    assert not [line for line in slow if "sleep" in said(line) or "wait4" in said(line)]
    least, most = SLOW_MS * 0.8, 1000 * allowed(0.2)
    assert all(least <= line.duration_ns / 1e6 <= most for line in reads)
    large = [line for line in lines if line.type == "mem" and line.allocated_bytes == 3 << 20]
    freed = [line for line in lines if line.type == "mem" and line.freed_bytes == 3 << 20]
    assert len(large) == len(freed) == MAPS
    assert all(max(line.allocated_bytes, line.freed_bytes) >= 1 << 20
               for line in lines if line.type == "mem")  # fmt: skip


def said(line: EventLine) -> str:
    assert len(line.text) == SLOW.stride
    return text_slow({"text": 0, "text_bytes": len(line.text)}, line.text, ascii=True)


def test_nothing_of_them_is_logged_unless_asked_for(session: Session) -> None:
    for probes in ({"syscall", "mem", "block"}, for_logs(frozenset({"slow"})) - {"allocations"}):
        session.switch(SPINE | probes)
        assert not [line for line in lines_of_work(session) if line.type in ("slow", "mem")]
    session.switch(SPINE | for_logs(frozenset()))
    session.switch(SPINE)
    assert not [line for line in lines_of_work(session) if line.type in ("slow", "mem")]
