# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Where pids here are not the kernel's own, or /proc is not there, another's, or hides processes:
the right process, or one clear line."""

from __future__ import annotations

import json
import shlex
import subprocess

import pytest
from running import command

INSIDE = ["unshare", "--pid", "--fork", "--mount-proc"]
OF_THE_HOST = ["unshare", "--pid", "--fork"]


def inside(how: list[str], *words: str) -> subprocess.CompletedProcess[str]:
    """`$!` in the words is a process that sleeps in there."""
    line = " ".join(word if word == "$!" else shlex.quote(word) for word in command(*words))
    script = f"sleep 60 & {line}; status=$?; kill $!; exit $status"
    return subprocess.run(
        [*how, "sh", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("how", [INSIDE, OF_THE_HOST], ids=["inside", "of the host"])
@pytest.mark.parametrize("words", [("--json", "-n", "1"), ("open", "-n", "1"), ("syscalls",),
                                   ("mem", "-n", "1")], ids=" ".join)  # fmt: skip
def test_a_pid_that_the_kernel_does_not_know_is_refused(
    how: list[str], words: tuple[str, ...]
) -> None:
    done = inside(how, *words, "-p", "$!")
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and "in a pid namespace" in done.stderr


def test_without_bpf_a_pid_is_that_of_the_proc_that_is_read() -> None:
    done = inside(INSIDE, "--json", "-n", "1", "-d", "0.2", "--source", "proc", "-p", "$!")
    assert done.returncode == 0
    (row,) = json.loads(done.stdout)["processes"]
    assert row["comm"] == "sleep"


def test_without_a_pid_it_says_whose_pids_they_are() -> None:
    done = inside(INSIDE, "--json", "-n", "1", "-d", "0.2")
    assert done.returncode == 0 and "pids are the machine's own" in done.stderr


def test_the_selftest_goes_by_proc_there() -> None:
    done = inside(INSIDE, "selftest", "--json")
    report = json.loads(done.stdout)
    assert report["missed"] == 0 and report["passed"] >= 5 and done.returncode == 0


def test_to_set_a_pid_from_in_there_is_refused() -> None:
    done = inside(INSIDE, "set", "pid=$!".replace("$!", "1"))
    assert done.returncode == 2 and "in a pid namespace" in done.stderr


@pytest.mark.parametrize("words", [("--json", "-n", "1"), ("--once",), ("exec", "-n", "1"),
                                   ("doctor",), ("selftest",), ("run", "--", "true")],
                         ids=" ".join)  # fmt: skip
def test_without_proc_it_is_one_line(words: tuple[str, ...]) -> None:
    line = shlex.join(command(*words))
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs none /proc && {line}"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 77 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and "no /proc" in done.stderr


def test_a_proc_that_hides_processes_is_read_all_the_same() -> None:
    sleeper = subprocess.Popen(["/bin/sleep", "60"], user=65534, group=65534, extra_groups=[])
    try:
        line = shlex.join(command("--json", "-n", "1", "-d", "0.3", "-p", str(sleeper.pid)))
        # an instance of its own: to remount would change what everybody sees
        script = f"mount -t proc -o hidepid=2 proc /proc; {line}"
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    finally:
        sleeper.kill()
        sleeper.wait()
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["processes"]
    assert row["cmdline"] == "/bin/sleep 60" and row["rss_bytes"]
