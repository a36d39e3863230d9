# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The whole command, started as a user would: exit statuses, messages, and the three text forms."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from running import NOBODY, TREE, command, ebtop, why_not_as_nobody

as_nobody = pytest.mark.skipif(bool(why_not_as_nobody()), reason=why_not_as_nobody())
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else, which only root can")


def one_line(done):
    message = done.stderr.decode()
    assert message.startswith("ebtop: ") and message.count("\n") == 1, message
    return message


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--batch -s bogus", "no column bogus"),
        ("--json -p 4194304", "no process 4194304"),
        ("--json -u no-such-user", "'no-such-user'"),
        ("--json --probes bogus", "sched, life, tasks"),
        ("--json -d nan", "'nan'"),
        ("record", "does not exist yet"),
        ("exec -p 4194304", "no process 4194304"),
        ("open -u no-such-user", "'no-such-user'"),
        ("open --buffer-size 3", "from 64K to 1G"),
        ("open --min-latency 5", "5ms"),
        ("mem --min-size -1", "a number of bytes"),
        ("mem --min-size 1T", "a number of bytes"),
        ("exec --batch", "ebtop exec --help"),
        ("--json exec", "the command comes first"),
        ("exec --descendants", "-p PID"),
        ("syscalls -S nonsense", "'nonsense'"),
        ("set frob=1", "pid, uid, user"),
        ("--frobnicate", "--frobnicate"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(words, named):
    done = ebtop(*words.split())
    assert (done.returncode, done.stdout) == (2, b"")
    assert named in one_line(done)


def test_an_unknown_column_is_answered_with_those_that_exist():
    assert "cpu" in one_line(ebtop("-b", "-s", "bogus"))


def test_without_a_terminal_the_dashboard_says_what_there_is_instead():
    done = ebtop()
    assert done.returncode == 2
    assert "--once" in one_line(done)


def test_a_terminal_without_a_cursor_gets_batch_mode():
    master, slave = os.openpty()
    words = ["-d", "0.1", "-n", "1", "--source", "proc", "--limit", "2"]  # fits the buffer
    done = ebtop(*words, stdin=slave, stdout=slave, env={**os.environ, "TERM": "dumb"})
    os.close(slave)
    text = os.read(master, 1 << 16)
    os.close(master)
    assert done.returncode == 0
    assert "TERM=dumb" in one_line(done)
    assert b"PID" in text and b"\x1b" not in text


def test_version_and_help():
    assert ebtop("--version").stdout.startswith(b"ebtop ")
    text = ebtop("--help").stdout.decode()
    for name in ("exec", "open", "syscalls", "set"):
        assert name in text
        assert b"usage: ebtop " + name.encode() in ebtop(name, "--help").stdout
    for option in ("--once", "--json", "--batch", "--source", "--sort", "--threads", "doctor"):
        assert option in text


def test_version_loads_next_to_nothing():
    code = (
        "import sys; from ebtop.cli import main; main(['--version']);"
        "print(sorted(m for m in ('curses', 'ebtop._core', 'json', 'asyncio') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=TREE, capture_output=True, check=True)
    assert done.stdout.endswith(b"[]\n")


# ---- samples ----


def samples(*words, **options):
    done = ebtop("--json", "-d", "0.2", "--source", "proc", *words, **options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_json_is_a_sample_a_line_and_stops_when_told():
    got = samples("-n", "2")
    assert [(s["schema"], s["type"], s["source"]) for s in got] == [(1, "sample", "proc")] * 2
    assert all(s["interval_s"] >= 0.19 for s in got)


def test_a_pid_filter_leaves_that_process_alone():
    (sample,) = samples("-n", "1", "-p", str(os.getpid()))
    assert [p["pid"] for p in sample["processes"]] == [os.getpid()]


def test_limit_and_sort():
    (sample,) = samples("-n", "1", "--limit", "3", "-s", "-pid")
    pids = [p["pid"] for p in sample["processes"]]
    assert len(pids) == 3 and pids == sorted(pids)


def test_command_lines_are_there_in_the_first_sample():
    (sample,) = samples("-n", "1", "-p", str(os.getpid()))
    assert "pytest" in sample["processes"][0]["cmdline"]


def test_batch_is_a_table():
    done = ebtop("-b", "-n", "1", "-d", "0.2", "--source", "proc")
    assert done.returncode == 0, done.stderr
    assert b"PID" in done.stdout and b"\x1b" not in done.stdout


def test_once_is_a_frame_of_the_size_asked_for():
    done = ebtop("--once", "--size", "100x30", "-d", "0.2", "--source", "proc")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 30 and max(map(len, lines)) <= 100


def test_in_the_c_locale_a_frame_is_ascii():
    done = ebtop("--once", "--size", "100x30", "-d", "0.2", "--source", "proc",
                 env={"LANG": "C", "PATH": os.environ["PATH"]})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()


# ---- ends ----


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("mode", ["--json", "-b"])
def test_a_signal_ends_it_with_whole_samples(mode, number):
    with subprocess.Popen(
        command(mode, "-d", "0.1", "--source", "proc"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        first = child.stdout.readline()
        assert first
        child.send_signal(number)
        rest, errors = child.communicate(timeout=10)
    assert (child.returncode, errors) == (0, b"")
    if mode == "--json":
        for line in (first + rest).splitlines():
            json.loads(line)
    assert (first + rest).endswith(b"\n")


def test_a_signal_in_the_first_interval_ends_it_without_output():
    with subprocess.Popen(
        command("--json", "-d", "60", "--source", "proc"), stdout=subprocess.PIPE
    ) as child:
        time.sleep(0.7)
        child.terminate()
        out, _ = child.communicate(timeout=10)
    assert (child.returncode, out) == (0, b"")


# ---- privileges ----


@as_root
def test_in_a_pid_namespace_it_says_whose_pids_they_are():
    words = command("--json", "-n", "1", "-d", "0.1")
    done = subprocess.run(
        ["unshare", "-p", "-f", "--mount-proc", *words], capture_output=True, check=False
    )
    if b"unshare" in done.stderr:
        pytest.skip("namespaces cannot be made here")
    assert done.returncode == 0
    assert "namespace" in one_line(done) or "/proc only" in one_line(done)


@as_nobody
def test_nobody_gets_proc_and_the_command_to_try():
    done = ebtop("--json", "-n", "1", "-d", "0.2", **NOBODY)
    assert done.returncode == 0
    message = one_line(done)
    assert "sudo /" in message and message.rstrip().endswith("--json -n 1 -d 0.2")
    assert json.loads(done.stdout)["source"] == "proc"


@as_nobody
def test_nobody_who_insists_on_bpf_gets_77():
    done = ebtop("--json", "-n", "1", "--source", "bpf", **NOBODY)
    assert (done.returncode, done.stdout) == (77, b"")
    assert "sudo /" in one_line(done)


@as_nobody
@pytest.mark.parametrize("name", ["exec", "open", "syscalls"])
def test_streams_have_no_other_source(name):
    done = ebtop(name, "-n", "1", **NOBODY)
    assert (done.returncode, done.stdout) == (77, b"")
    assert "sudo /" in one_line(done)


@as_root
def test_set_uid_is_refused():
    code = (
        f"import os, sys; sys.path.insert(0, {str(TREE)!r}); os.setresuid(65534, 0, 0);"
        "from ebtop.cli import main; sys.exit(main(['--json']))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=False)
    assert done.returncode == 77
    assert b"set-uid" in done.stderr


@pytest.fixture
def copied_tree(tmp_path):
    """A copy that root may run: the tree itself may belong to somebody else."""
    shutil.copytree(TREE / "ebtop", tmp_path / "tree" / "ebtop")
    os.chmod(tmp_path / "tree", 0o755)
    return tmp_path


def run_module(folder, **environment):
    return subprocess.run(
        [sys.executable, "-m", "ebtop", "--version"],
        cwd=folder, capture_output=True, check=False,
        env={"PATH": os.environ["PATH"], **environment},
    )  # fmt: skip


@as_root
def test_root_does_not_run_code_that_others_can_plant(copied_tree):
    evil = copied_tree / "evil"
    evil.mkdir()
    os.chmod(evil, 0o777)
    (evil / "argparse.py").write_text("print('PLANTED')")
    done = run_module(copied_tree / "tree", PYTHONPATH=str(evil))
    assert done.returncode == 1 and b"PLANTED" not in done.stdout
    assert str(evil).encode() in done.stderr


@as_root
def test_root_does_not_run_in_a_folder_that_others_can_write(copied_tree):
    tree = copied_tree / "tree"
    (tree / "argparse.py").write_text("print('PLANTED')")
    os.chmod(tree, 0o1777)
    done = run_module(tree)
    assert done.returncode == 1 and b"PLANTED" not in done.stdout


def test_sudo_is_looked_for_in_fixed_places_only(tmp_path):
    (tmp_path / "sudo").write_text("#!/bin/sh\necho PLANTED\n")
    os.chmod(tmp_path / "sudo", 0o755)
    from ebtop.control import choose

    assert all(path.startswith("/") for path in choose._SUDO_PATHS)
