# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Once it counts, ebtop is its caller with two capabilities: it can do nothing else any more, and
shows all that it showed before."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import pytest
from observe import start, unexpected, until_done
from running import TREE, command, ebtop, said, sample
from terminal import Terminal

from ebtop.model.layout import EXITED
from ebtop.runtime.privilege import bit

UID, GID, OTHER = 4711, 4713, 4721
CALLER = {"SUDO_UID": str(UID), "SUDO_GID": str(GID)}
LOADING = bit("CAP_BPF") | bit("CAP_PERFMON")
NOBODY = 65534
JSON = ("--json", "-n", "1", "-d", "0.2")
PATIENCE_S = 20.0


def status(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}


def sets(pid: int) -> dict[str, int]:
    return {name: int(value[0], 16) for name, value in status(pid).items() if name[:3] == "Cap"}


def assert_given_up(pid: int, uid: int, gid: int, capabilities: int = LOADING) -> None:
    """It is that user, in no group but one, with exactly these capabilities, for good."""
    found = status(pid)
    assert found["Uid"] == [str(uid)] * 4 and found["Gid"] == [str(gid)] * 4
    assert found["Groups"] == []
    kept = {"CapPrm": capabilities, "CapEff": capabilities}
    assert sets(pid) == {"CapInh": 0, "CapBnd": 0, "CapAmb": 0, **kept}
    assert found["NoNewPrivs"] == ["1"]


def until_dropped(pid: int) -> None:
    until = time.monotonic() + PATIENCE_S
    while status(pid)["NoNewPrivs"] != ["1"]:
        assert time.monotonic() < until, "it never gives up its privileges"
        time.sleep(0.02)


@contextmanager
def running(
    *arguments: str, environment: Optional[dict[str, str]] = None, before: tuple[str, ...] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """ebtop without a terminal, once it has given up its privileges."""
    process = subprocess.Popen(
        [*before, *command(*arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip
    try:
        until_dropped(process.pid)
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("options", [("--json",), ("-b",), ("exec",), ("syscalls",)])
def test_command_is_its_caller_with_two_capabilities(options: tuple[str, ...]) -> None:
    with running(*options, environment=CALLER) as process:
        assert_given_up(process.pid, UID, GID)


@pytest.mark.parametrize(
    "environment, uid",
    [
        ({}, NOBODY),
        ({"SUDO_UID": "0", "SUDO_GID": "0"}, NOBODY),
        ({"SUDO_UID": "-1", "SUDO_GID": "garbage"}, NOBODY),
        ({"SUDO_UID": "4294967295", "SUDO_GID": "4294967295"}, NOBODY),
        ({"PKEXEC_UID": str(OTHER)}, OTHER),
    ],
)
def test_whatever_the_environment_says_it_is_not_root(
    environment: dict[str, str], uid: int
) -> None:
    with running("--json", environment=environment) as process:
        assert_given_up(process.pid, uid, NOBODY)


def test_of_proc_it_keeps_no_capability() -> None:
    with running("--json", "--source", "proc", environment=CALLER) as process:
        assert_given_up(process.pid, UID, GID, 0)


def test_both_processes_of_the_dashboard_are_its_caller() -> None:
    with Terminal("--source", "bpf", "-d", "0.3", environment=CALLER) as terminal:
        terminal.wait("Quit")
        (child,) = terminal.children()
        assert_given_up(child, UID, GID)
        parent = status(terminal.process.pid)
        assert parent["Uid"] == [str(UID)] * 4 and parent["Gid"] == [str(GID)] * 4
        assert parent["Groups"] == []
        held = sets(terminal.process.pid)
        assert held["CapPrm"] == held["CapEff"] == held["CapInh"] == held["CapAmb"] == 0
        terminal.process.terminate()
        assert terminal.end() == 0 and not terminal.unrestored()


def test_a_signal_while_the_dashboard_loads_ends_it() -> None:
    for wait_s in (0.05, 0.15, 0.3):
        with Terminal("--source", "bpf", environment=CALLER) as terminal:
            time.sleep(wait_s)
            terminal.process.terminate()
            assert terminal.end() in (0, -15, 143)
            assert not terminal.children() and not terminal.unrestored()


# ---- what is possible afterwards ----


class Dropped:
    """The process of dropped.py."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pid = process.pid

    def ask(self, word: str) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "it ended"
        return json.loads(line)


@pytest.fixture
def open_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that all users may enter, which pytest's are not."""
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def dropped(open_folder: Path) -> Iterator[Dropped]:
    """A session in a process that still has all its privileges, and is told to give them up."""
    secret, others, id_ = (open_folder / name for name in ("secret", "others", "id"))
    for path, owner in ((secret, 0), (others, OTHER)):
        path.write_text("hidden")
        path.chmod(0o600)
        os.chown(path, owner, owner)
    shutil.copy(shutil.which("id") or "/usr/bin/id", id_)
    id_.chmod(0o4755)
    process = subprocess.Popen(
        [sys.executable, TREE / "tests" / "support" / "dropped.py", secret, others, id_],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, **CALLER, "PYTHONPATH": str(TREE)},
    )  # fmt: skip
    try:
        yield Dropped(process)
    finally:
        process.kill()
        process.communicate()


def test_it_can_do_nothing_that_only_root_can(dropped: Dropped) -> None:
    assert dropped.ask("drop") is None
    assert_given_up(dropped.pid, UID, GID)
    denied = "write into /etc, change /etc/passwd, read root's file, read another user's file"
    refused = "take another user's file, become root, become root for good, join root's group, "
    refused += "get groups, signal init, change the root, mount, set the clock"
    assert dropped.ask("attempts") == {
        **dict.fromkeys(denied.split(", "), "EACCES"),
        **dict.fromkeys(refused.split(", "), "EPERM"),
        "set-uid id": "not root",
    }


def test_it_knows_all_that_it_knew_before(dropped: Dropped) -> None:
    witness = start("sleeps", "7")
    until_done(witness)
    dropped.ask("read")
    before = dropped.ask("read")
    dropped.ask("drop")
    after = dropped.ask("read")
    for table in ("processes", "threads"):
        both = before[table].keys() & after[table].keys()
        assert any(after[table][key]["pid"] == witness.pid for key in both)
        for key in both:
            lacking = before[table][key].keys() - after[table][key].keys()
            assert not lacking, (table, before[table][key])
    for what in ("probes", "cpus", "system"):
        assert after[what] == before[what], what
    assert after["probes"]["sched"][2], "the cost of probes is still known"
    assert after["rss_bytes"] > 0
    witness.kill()
    witness.wait()


def test_it_goes_on_counting_exactly(dropped: Dropped) -> None:
    dropped.ask("read")
    dropped.ask("drop")
    sleeper, parent = start("sleeps", "211"), start("forks", "53")
    until_done(sleeper)
    until_done(parent)
    found = dropped.ask("read")
    rows = list(found["processes"].values())
    counts = status(sleeper.pid)
    (row,) = [row for row in rows if row["pid"] == sleeper.pid]
    assert row["voluntary_switches"] == int(counts["voluntary_ctxt_switches"][0]) >= 211
    assert row["involuntary_switches"] == int(counts["nonvoluntary_ctxt_switches"][0])
    # of the task iterator
    assert row["rss_bytes"] > 0
    children = [row for row in rows if row["ppid"] == parent.pid]
    assert len(children) == 53 and all(row["flags"] & EXITED for row in children)
    assert sorted(row["exit_code"] >> 8 for row in children) == [0] * 27 + [7] * 26
    assert not unexpected(found["lost"])
    for process in (sleeper, parent):
        process.kill()
        process.wait()


def test_probes_are_loaded_as_before(dropped: Dropped) -> None:
    before = {name: state[:2] for name, state in dropped.ask("read")["probes"].items()}
    assert {name for name, (state, _) in before.items() if state != "on"} == {"kfunc"}
    dropped.ask("drop")
    assert dropped.ask("switched") == before
    del before["stacks"]  # the addresses of functions are read once, by who may
    second = dropped.ask("second")
    assert {name: second[name] for name in before} == before


# ---- where it goes differently ----


def test_a_user_with_capabilities_keeps_what_it_needs_of_them() -> None:
    given = "+bpf,+perfmon,+sys_admin,+dac_read_search"
    before = (
        # 5.10 counts maps as locked memory, and to raise its limit is another's privilege
        "sh", "-c", 'ulimit -l unlimited 2>/dev/null; exec "$@"', "sh",
        "setpriv", f"--reuid={UID}", f"--regid={GID}", "--clear-groups",
        f"--inh-caps={given}", f"--ambient-caps={given}",
    )  # fmt: skip
    with running("--json", "--source", "bpf", before=before) as process:
        found = status(process.pid)
        assert found["Uid"] == [str(UID)] * 4 and found["Gid"] == [str(GID)] * 4
        held = sets(process.pid)
        assert held["CapPrm"] == held["CapEff"] == LOADING
        assert held["CapInh"] == held["CapAmb"] == 0
    done = subprocess.run([*before, *command(*JSON)], capture_output=True, check=False)
    assert sample(done)["source"] == "bpf" and not done.stderr


def test_root_that_may_not_become_another_says_so_and_gives_up_the_rest() -> None:
    before = ("setpriv", "--bounding-set=-setuid", "--inh-caps=-setuid")
    with running("--json", before=before) as process:
        assert_given_up(process.pid, 0, 0)
    done = subprocess.run([*before, *command(*JSON)], capture_output=True, check=False)
    assert sample(done)["source"] == "bpf"
    assert said(done) == (
        "ebtop: remains user root, without CAP_SETUID; other privileges are given up"
    )


@pytest.mark.parametrize("options", [JSON, ("exec", "-n", "1")])
def test_a_failure_to_give_up_ends_it(options: tuple[str, ...]) -> None:
    refused = {**os.environ, "LC_ALL": "C.UTF-8", "EBTOP_FAIL": "become:11"}
    done = ebtop(*options, env=refused)
    assert (done.returncode, done.stdout) == (1, b"")
    assert said(done).startswith("ebtop: privileges: cannot become another user: ")


def test_hidden_processes_stay_visible() -> None:
    mounted = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"'
    before = ("unshare", "-m", "sh", "-c", mounted, "sh")
    witness = start("sleeps", "7")
    until_done(witness)
    try:
        for source in ("bpf", "proc"):
            done = subprocess.run(
                [*before, *command(*JSON, "--source", source)], capture_output=True, check=False
            )
            (row,) = [p for p in sample(done)["processes"] if p["pid"] == witness.pid]
            assert row["cmdline"].endswith("act sleeps 7"), source
    finally:
        witness.kill()
        witness.wait()


def test_a_user_with_no_thread_left_still_gets_samples() -> None:
    """Root has no limit of threads, its caller may have one: then command lines are not read."""
    caller = {**os.environ, "SUDO_UID": str(UID + 1), "SUDO_GID": str(GID)}
    limited = ["prlimit", "--nproc=1", *command(*JSON)]
    witness = start("sleeps", "7")
    until_done(witness)
    try:
        done = subprocess.run(limited, env=caller, capture_output=True, timeout=60, check=False)
        (row,) = [p for p in sample(done)["processes"] if p["pid"] == witness.pid]
        assert row["cmdline"] is None and not done.stderr
    finally:
        witness.kill()
        witness.wait()


@pytest.fixture
def own_tree(tmp_path: Path) -> str:
    """Code that starts ebtop from a folder which only root may read; nobody can import from it."""
    tmp_path.chmod(0o700)
    shutil.copytree(TREE / "ebtop", tmp_path / "ebtop")
    return (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from ebtop.cli import main;"
        f"import ebtop; assert ebtop.__file__.startswith({str(tmp_path)!r}); sys.exit(main())"
    )


@pytest.mark.parametrize(
    "options", [JSON, ("-b", "-n", "1"), ("--once",), ("syscalls", "-n", "1", "-d", "0.2")]
)
@pytest.mark.long("it is about where files lie, not about the kernel")
def test_installed_where_only_root_can_read_it_works(
    own_tree: str, options: tuple[str, ...]
) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", own_tree, *options], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"") and done.stdout


def test_dashboard_installed_where_only_root_can_read_it_works(own_tree: str) -> None:
    with Terminal("--source", "bpf", "-d", "0.3", program=own_tree, size=(140, 40)) as terminal:
        terminal.wait("Quit")
        assert status(terminal.process.pid)["Uid"] == [str(NOBODY)] * 4
        (command_line,) = (
            Path(f"/proc/{terminal.process.pid}/cmdline").read_bytes().split(b"\0-S\0")[1:]
        )
        assert b"supervisor.py" in command_line, "the small parent is a bare interpreter"
        for key in "?\x1bH\x1bt\x1bs\x1be\x1bw/nowhere/x\r":
            terminal.type(key)
            terminal.read(0.1)
        terminal.wait("cannot write")
        terminal.type("q")
        assert terminal.end() == 0 and not terminal.unrestored()
