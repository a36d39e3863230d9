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
from observe import allowed, row_of, start, until_done, value, workload
from running import command, loads_fast

from ebtop.sources.bpf import Session
from ebtop.sources.room import Room

MIB = 1 << 20
PEAK_MIB = 64 if loads_fast() else 80
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
@pytest.mark.parametrize("mebibytes", [24, 32, 40, 48, 64, 80, 96, 112, 128])
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
        if name == "run":
            continue
        assert all(line.startswith((SAYS, READS)) for line in lines), lines
        if name == "json":
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
    assert {probe.state for probe in snapshot.probes} == {"on", "off"}
    assert value(row_of(snapshot, process.pid), "voluntary_switches") >= 211
    assert not any(snapshot.self_cost.lost_total.values())


# ---- run ----

SIZES = [16, 20, 24, 32, 48, 64, 96, 112, 128, 192, 256]
UNWATCHED = "the command runs unwatched, without a report"
LOST = "ebtop: the report is lost: what watches was killed"


def hog(mebibytes: int, seconds: float, *before: str) -> subprocess.CompletedProcess[str]:
    """It takes nine tenths of what there is; of the least, all but what a start takes."""
    kib = mebibytes * 1024 * 9 // 10 if mebibytes >= 24 else (mebibytes - 1) * 1024
    words = [workload("hog"), str(kib), "7", str(seconds)]
    return subprocess.run(
        [*before, *words], capture_output=True, text=True, check=False, timeout=allowed(30)
    )


@pytest.mark.parametrize("seconds", [0.0, 1.5])
@pytest.mark.parametrize("mebibytes", SIZES)
def test_run_never_makes_a_command_fail_that_works_alone(mebibytes: int, seconds: float) -> None:
    with memory_group(mebibytes * MIB) as group:
        alone = hog(mebibytes, seconds, *group.before)
    assert (alone.returncode, alone.stdout) == (7, "held\n"), "the test asks for too much"
    with memory_group(mebibytes * MIB) as group:
        done = hog(mebibytes, seconds, *group.before, *command("run", "--json", "--"))
    assert done.returncode == 7 and done.stdout.startswith("held\n"), done
    report = done.stdout.partition("\n")[2]
    lines = done.stderr.splitlines()
    if report:
        assert json.loads(report)["exit_code"] == 7
    else:
        assert UNWATCHED in lines[-1] or lines[-1].startswith(LOST), done


@pytest.mark.parametrize("mebibytes", SIZES)
def test_run_of_what_needs_little_has_its_report_or_says_why_not(mebibytes: int) -> None:
    with memory_group(mebibytes * MIB) as group:
        done = run(("run", "--json", "--", "sh", "-c", "sleep 0.2; exit 3"), group.before)
        killed = group.kills()
    lines = done.stderr.splitlines()
    assert done.returncode == 3 and not killed and len(lines) <= 1
    if mebibytes < 24:
        assert done.stdout == "" and UNWATCHED in lines[0]
        return
    report = json.loads(done.stdout)
    assert report["exit_code"] == 3 and report["processes"][0]["comm"] == "sh"
    assert report["total"]["oncpu_ns"] > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_reach_the_command_through_its_parent(number: signal.Signals) -> None:
    words = ("sh", "-c", "trap 'exit 5' TERM HUP INT; echo up; while :; do sleep 0.05; done")
    with memory_group(256 * MIB) as group:
        with subprocess.Popen(
            [*group.before, *command("run", "--json", "--", *words)], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            process.send_signal(number)
            out, _ = process.communicate(timeout=allowed(20))
        assert process.returncode == 5 and json.loads(out)["exit_code"] == 5


@pytest.mark.parametrize(
    ("words", "status"),
    [(("sh", "-c", "kill -9 $$"), 137), (("no-such-program",), 127), (("/etc/passwd",), 126)],
)
def test_ends_are_the_commands_own(words: tuple[str, ...], status: int) -> None:
    with memory_group(256 * MIB) as group:
        done = run(("run", "--json", "--", *words), group.before)
    assert done.returncode == status, done


def test_parent_of_the_command_takes_next_to_nothing() -> None:
    script = "grep -E '^(RssAnon|Name)' /proc/$PPID/status"
    with memory_group(256 * MIB) as group:
        done = run(("run", "--json", "--", "sh", "-c", script), group.before)
    anon = int(done.stdout.split("RssAnon:")[1].split()[0])
    assert anon <= 3 << 10, f"{anon} KiB"
