# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Under limits of the process itself: it falls back, or says in one line why not; there is never an
empty table, and it never ends without a word."""

from __future__ import annotations

import json
import os
import resource
import subprocess

import pytest
from observe import allowed
from running import command

JSON = ("--json", "-n", "1", "-d", "0.2")
RUN = ("run", "--json", "--", "sh", "-c", "ulimit -n; exit 3")


def limited(which: int, value: int, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), capture_output=True, text=True, check=False, timeout=allowed(20),
        stdin=subprocess.DEVNULL, preexec_fn=lambda: resource.setrlimit(which, (value, value)),
    )  # fmt: skip


def assert_true_or_said(done: subprocess.CompletedProcess[str]) -> None:
    lines = done.stderr.splitlines()
    assert len(lines) <= 1 + done.returncode and done.returncode in (0, 1), done
    if done.returncode:
        assert "there is no memory left" in lines[-1] and not done.stdout
        return
    found = json.loads(done.stdout)
    mine = [row for row in found["processes"] if row["pid"] == os.getpid()]
    whole = bool(mine) and mine[0]["rss_bytes"] is not None
    assert whole or "the probe tasks does not" in lines[0], done.stderr
    assert (found["source"] == "bpf") or lines, "it is not said why"


@pytest.mark.parametrize("count", [20, 24, 29, 32, 36, 40, 44, 52, 64, 80, 88, 96, 112, 128, 160])
def test_descriptors(count: int) -> None:
    assert_true_or_said(limited(resource.RLIMIT_NOFILE, count, *JSON))


@pytest.mark.parametrize("count", [24, 40, 64, 96, 128])
def test_descriptors_of_run(count: int) -> None:
    done = limited(resource.RLIMIT_NOFILE, count, *RUN)
    assert done.returncode == 3 and done.stdout.startswith(f"{count}\n"), done
    report = json.loads(done.stdout.partition("\n")[2])
    assert report["exit_code"] == 3 and len(done.stderr.splitlines()) <= 1
    assert report["source"] == "bpf" or done.stderr


@pytest.mark.parametrize("mebibytes", [48, 60, 80, 100, 150, 250])
def test_addresses(mebibytes: int) -> None:
    assert_true_or_said(limited(resource.RLIMIT_AS, mebibytes << 20, *JSON))


@pytest.mark.parametrize(
    ("which", "value"),
    [(resource.RLIMIT_STACK, 128 << 10), (resource.RLIMIT_MEMLOCK, 65536),
     (resource.RLIMIT_CPU, 5), (resource.RLIMIT_DATA, 200 << 20)],
)  # fmt: skip
def test_others(which: int, value: int) -> None:
    assert_true_or_said(limited(which, value, *JSON))


def test_files_that_may_have_no_byte() -> None:
    done = subprocess.run(
        command(*JSON), capture_output=True, check=False,
        timeout=allowed(20), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )  # fmt: skip
    assert done.returncode == 0 and json.loads(done.stdout)["source"] == "bpf"


@pytest.mark.parametrize("words", [JSON, ("--once", "-d", "0.1"), RUN], ids=["json", "once", "run"])
def test_processes(words: tuple[str, ...]) -> None:
    """The shell's own first one is root's: a user's limit holds from there on."""
    before = ["setpriv", "--reuid=12345", "--clear-groups", "prlimit", "--nproc=1:1"]
    done = subprocess.run(
        [*before, *command(*words)], capture_output=True, text=True, check=False,
        timeout=allowed(20), stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert len(done.stderr.splitlines()) <= 2 and "(ulimit -u)" in done.stderr
    assert done.returncode == (3 if words is RUN else 1)
