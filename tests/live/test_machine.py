# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The machine as a whole against the kernel's own accounts."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from observe import EMULATED, opened, start, watch, workload

from ebtop.sources.procparse import CPU_PARTS, parse_machine

READERS = 2
"""Programs that look at the same file: a tick each falls before or after the other's look."""


def _ticks_ns() -> dict[str, int]:
    machine = parse_machine(Path("/proc/stat").read_bytes())
    return {name: sum(cpu[name] for cpu in machine.cpus.values()) for name in CPU_PARTS}


def test_parts_of_cpu_time_are_those_of_proc_stat() -> None:
    """One CPU spins in user space, another reads /dev/zero, which is the kernel's time."""
    spinner = start("spin", "60000")
    reader = subprocess.Popen(["dd", "if=/dev/zero", "of=/dev/null", "bs=1M"], stderr=-3)
    try:
        with opened() as session:
            watch(session, 0.3)
            session.refresh()
            before = _ticks_ns()
            watch(session, 3)
            snapshot = session.refresh()
            after = _ticks_ns()
    finally:
        for process in (spinner, reader):
            process.kill()
            process.wait()
    parts, cpus = snapshot.system.cpu_parts, snapshot.host.cpus
    assert parts is not None
    grown = {name: max(0, after[name] - before[name]) for name in CPU_PARTS}
    whole = sum(grown.values())
    for name in CPU_PARTS:
        # in percent of one CPU; a tick of each CPU may fall between the two looks
        said, truth = getattr(parts, name), 100.0 * cpus * grown[name] / whole
        assert said == pytest.approx(truth, abs=1 + READERS * cpus * 1.0 / 3), name
    assert sum(getattr(parts, name) for name in CPU_PARTS) == pytest.approx(100 * cpus)
    assert snapshot.system.cpu_percent == pytest.approx(
        100 * cpus - parts.idle - parts.iowait, abs=0.001
    )
    if not EMULATED:
        assert parts.user >= 50 and parts.system >= 10


def test_run_queue_is_the_mean_of_those_that_wait() -> None:
    """Three spinners on one CPU, before all others: two of them wait."""
    spinners = [start("spin", "60000") for _ in range(3)]
    for process in spinners:
        os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
        os.setpriority(os.PRIO_PROCESS, process.pid, -20)
    try:
        with opened() as session:
            watch(session, 0.5)
            session.refresh()
            watch(session, 2)
            snapshot = session.refresh()
    finally:
        for process in spinners:
            process.kill()
            process.wait()
    waited = sum(snapshot.processes.column("runq_wait_ns")) / 1e9 / snapshot.interval_s
    assert snapshot.system.run_queue == pytest.approx(waited, rel=0.001)
    assert snapshot.system.run_queue is not None and snapshot.system.run_queue >= 1.8
    # two slices of others, of 3 ms and more, are what each waits for
    longest = snapshot.system.run_queue_p99_ns
    assert longest is not None and 2_000_000 <= longest <= 1_000_000_000


def test_pressure_is_what_the_kernel_says() -> None:
    if not Path("/proc/pressure/cpu").exists():
        with opened() as session:
            assert session.refresh().host.pressure is None
        return
    with opened() as session:
        for _ in range(20):
            before = _pressure()
            pressure = session.refresh().host.pressure
            if before == _pressure():  # the kernel makes new ones every other second
                break
            time.sleep(0.1)
    assert pressure == (before or None)


def _pressure() -> dict[str, tuple[float | None, float | None]]:
    found = {}
    for name in ("cpu", "memory", "io"):
        try:
            text = Path(f"/proc/pressure/{name}").read_text()
        except OSError:  # psi=0
            return {}
        lines = {line.split()[0]: float(line.split()[1][6:]) for line in text.splitlines()}
        found[name] = (lines.get("some"), lines.get("full"))
    return found


def test_allocations_of_the_machine_are_those_of_its_processes() -> None:
    with opened() as session:
        pipe = subprocess.PIPE
        process = subprocess.Popen([workload("memory"), "sequence", "101"], stdin=pipe, stdout=pipe)
        watch(session, 0.3)
        session.refresh()
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        watch(session, 1)
        snapshot = session.refresh()
        process.kill()
        process.wait()
    table, system = snapshot.processes, snapshot.system
    assert system.allocated_bytes == sum(table.column("allocated_bytes")) > 101 * 4096
    assert system.freed_bytes == sum(table.column("freed_bytes")) > 0
