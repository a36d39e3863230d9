# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""`ebtop set` on a command that shows rows: it chooses them, and refuses what changes nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
from running import command, ebtop


@pytest.fixture
def sampling() -> Iterator[subprocess.Popen[bytes]]:
    pipe = subprocess.PIPE
    process = subprocess.Popen(command("--json", "-d", "0.3"), stdout=pipe, stderr=pipe)
    yield process
    process.kill()
    process.communicate()


def rows(process: subprocess.Popen[bytes]) -> set[int]:
    """The pids of the next sample."""
    assert process.stdout is not None
    return {row["pid"] for row in json.loads(process.stdout.readline())["processes"]}


def test_the_rows_are_those_that_the_filter_names(sampling: subprocess.Popen[bytes]) -> None:
    one, other = (subprocess.Popen(["/bin/sleep", "600"]) for _ in range(2))
    to = ("--instance", str(sampling.pid))
    try:
        assert {one.pid, other.pid} <= rows(sampling)
        assert ebtop("set", f"pid={one.pid}", *to).returncode == 0
        for _ in range(2):  # one may have been on its way
            shown = rows(sampling)
        assert shown == {one.pid}
        assert ebtop("set", f"exclude_pid={one.pid}", *to).returncode == 0
        for _ in range(2):
            shown = rows(sampling)
        assert one.pid not in shown and other.pid in shown
        refused = ebtop("set", "min_size=1M", *to)
        assert refused.returncode == 2 and b"does not filter by min_size" in refused.stderr
        assert ebtop("set", "none", *to).returncode == 0
        for _ in range(2):
            shown = rows(sampling)
        assert {one.pid, other.pid} <= shown
    finally:
        for process in (one, other):
            process.kill()
            process.wait()


def test_who_obeys_nothing_is_not_set() -> None:
    pipe = subprocess.PIPE
    process = subprocess.Popen(command("exec", "--json"), stdout=pipe, stderr=pipe)
    try:
        assert process.stdout is not None
        while process.poll() is None:
            subprocess.run(["/bin/true"], check=True)
            if process.stdout.readline():
                break
        refused = ebtop("set", "pid=1", "--instance", str(process.pid))
        assert refused.returncode == 2 and b"does not filter by pid; by: nothing" in refused.stderr
    finally:
        process.kill()
        process.communicate()
