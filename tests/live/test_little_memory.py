# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""In a memory cgroup: what a start takes at most, and what becomes of it with less."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence

import pytest
from memorygroup import memory_group
from observe import allowed, row_of, start, until_done, value
from running import command

from ebtop.room import Room
from ebtop.session import Session

MIB = 1 << 20
PEAK_MIB = 64
COMMANDS = {
    "json": ("--json", "-n", "1", "-d", "0.2"),
    "batch": ("-b", "-n", "2", "-d", "0.2"),
    "once": ("--once", "-d", "0.2"),
    "doctor": ("doctor", "--json"),
    "run": ("run", "--json", "--", "true"),
    "exec": ("exec", "-n", "1", "-d", "0.1"),
}
SAYS = "ebtop: the memory cgroup leaves "
READS = "ebtop: reading /proc only: the memory cgroup leaves "


def run(words: Sequence[str], before: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, *command(*words)], capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, timeout=allowed(20),
    )  # fmt: skip


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "exec"])
def test_peak_of_a_start_with_what_the_kernel_charges_for_maps(name: str) -> None:
    with memory_group() as group:
        done = run(COMMANDS[name], group.before)
        peak = group.peak_bytes()
    assert done.returncode == 0 and done.stderr == ""
    assert peak is None or peak <= PEAK_MIB * MIB, f"{peak / MIB:.1f} MiB"


@pytest.fixture
def execs() -> Iterator[None]:
    """Somebody always starts a program."""
    words = ["sh", "-c", "while sleep 0.2; do :; done"]
    with subprocess.Popen(words, start_new_session=True) as process:
        yield
        os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.usefixtures("execs")
@pytest.mark.parametrize("mebibytes", [16, 24, 32, 40, 48, 64, 80, 96, 112, 128])
def test_every_command_works_with_less_or_says_why_not(mebibytes: int) -> None:
    for name, words in COMMANDS.items():
        with memory_group(mebibytes * MIB) as group:
            done = run(words, group.before)
            killed = group.kills()
        lines = done.stderr.splitlines()
        assert not killed and len(lines) <= 1, (name, done)
        if name == "exec" and mebibytes < 32:
            assert done.returncode == 77 and SAYS in lines[0]
            continue
        assert done.returncode == 0, (name, done)
        assert all(line.startswith((SAYS, READS)) for line in lines), lines
        if name in ("json", "run") and done.stdout:
            found = json.loads(done.stdout)
            assert found["source"] == ("proc" if lines and READS in lines[0] else "bpf")
            assert found["processes"]
        if name in ("batch", "once"):
            assert "PID" in done.stdout
    assert mebibytes < 96 or not lines, "there is enough"


def test_small_tables_count_as_well_as_large_ones() -> None:
    little = Room(threads=1024, connections=1024, little=True)
    with Session(room=little) as session:
        session.refresh()
        process = start("sleeps", "211")
        until_done(process)
        snapshot = session.refresh()
        process.kill()
        process.wait()
    assert {probe.state for probe in snapshot.probes if probe.name not in ("open", "kfunc")} == {
        "on"
    }
    assert value(row_of(snapshot, process.pid), "voluntary_switches") >= 211
    assert not any(snapshot.self_cost.lost_total.values())
