# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Command lines are those of the moment: after an exec that keeps the name and after a change of
title. A process whose leader has ended has its own still, and its name and memory.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Iterator, Optional

import pytest
from observe import EMULATED, opened, row_of, until_asleep, value, watch, workload
from running import command

Row = dict[str, Any]


def begin(*words: str) -> subprocess.Popen[str]:
    program = workload("title")
    pipe = subprocess.PIPE
    return subprocess.Popen([program, *words], stdin=pipe, stdout=pipe, text=True)


def said(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None and process.stdout.readline() == "done\n"


class Samples:
    """`ebtop --json` at work."""

    def __init__(self, pid: int, *words: str) -> None:
        options = ("--json", "-d", "0.5", "-p", str(pid), *words)
        self._pid = pid
        self._ebtop = subprocess.Popen(command(*options), stdout=subprocess.PIPE)

    def __enter__(self) -> Samples:
        return self

    def __exit__(self, *_: object) -> None:
        self._ebtop.send_signal(signal.SIGTERM)
        self._ebtop.communicate(timeout=30)

    def next(self) -> Row:
        assert self._ebtop.stdout is not None
        sample = json.loads(self._ebtop.stdout.readline())
        return next(row for row in sample["processes"] if row["pid"] == self._pid)

    def until(self, cmdline: str, most: int = 3) -> Row:
        """The row that has it, among the next few."""
        rows = [self.next() for _ in range(most)]
        found = [row for row in rows if row["cmdline"] == cmdline]
        assert found, [row["cmdline"] for row in rows]
        assert rows[-1]["cmdline"] == cmdline
        return found[0]


@pytest.fixture(params=["bpf", "proc"])
def source(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    yield "--source", request.param


def shown(*words: str) -> str:
    return " ".join([workload("title"), *words])


def test_after_an_exec_that_keeps_the_name_it_is_the_new_one(source: tuple[str, str]) -> None:
    process = begin("again", "word")
    said(process)
    with Samples(process.pid, *source) as samples:
        samples.until(shown("again", "word"))
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        said(process)
        row = samples.until(shown("sleep", "word"))
    process.kill()
    process.communicate()
    assert row["comm"] == "title"


def test_one_that_changed_its_title_and_sleeps_is_read_once_more(source: tuple[str, str]) -> None:
    process = begin("write", "idle since then")
    said(process)
    with Samples(process.pid, *source) as samples:
        samples.until(shown("write", "idle since then"))
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        said(process)
        samples.until("idle since then")
    process.kill()
    process.communicate()


def test_a_title_that_changes_again_and_again_is_never_old(source: tuple[str, str]) -> None:
    process = begin("often", "20" if not EMULATED else "120")
    with Samples(process.pid, *source) as samples:
        turns = []
        for _ in range(6):
            row = samples.next()
            now = Path(f"/proc/{process.pid}/cmdline").read_text().strip("\0")
            turns.append((row["cmdline"], now))
    process.kill()
    process.communicate()
    late = [_turn(now) - _turn(seen) for seen, now in turns]
    # a sample is read a little after it was taken
    assert max(late) <= (1 if not EMULATED else 6) and len({seen for seen, _ in turns}) > 3


def _turn(title: Optional[str]) -> int:
    return int((title or "turn -100").split()[-1])


@pytest.mark.parametrize("from_the_start", [False, True])
def test_without_its_leader_a_process_keeps_memory_name_and_command_line(
    source: tuple[str, str], from_the_start: bool
) -> None:
    process = begin("alone", "word")
    if not from_the_start:
        said(process)
    with Samples(process.pid, *source) as samples:
        row = [samples.next() for _ in range(4)][-1]
    (living,) = (tid for tid in os.listdir(f"/proc/{process.pid}/task") if tid != str(process.pid))
    status = Path(f"/proc/{process.pid}/task/{living}/status").read_text()
    process.kill()
    process.communicate()
    truth = int(status.split("VmRSS:")[1].split()[0]) * 1024
    assert row["cmdline"] == shown("alone", "word")
    assert row["comm"] == "title" and row["state"] == "S" and not row["exited"]
    # the kernel's counters lag behind each CPU's
    assert row["rss_bytes"] == pytest.approx(truth, rel=0.3, abs=600_000)
    assert row["virtual_bytes"] and row["peak_rss_bytes"] >= row["rss_bytes"]


def test_a_process_without_its_leader_has_its_parts_of_memory() -> None:
    process = begin("alone", "word")
    said(process)
    until_asleep(process.pid, "Z")
    with opened() as session:
        time.sleep(0.1)
        watch(session, 2.2)
        row = row_of(session.refresh(), process.pid)
    process.kill()
    process.communicate()
    assert value(row, "rss_bytes") and row["rss_anon_bytes"] + row["rss_file_bytes"]
    assert row["comm"] == b"title" and row["mappings"] > 5
