# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Every command works from an interpreter that root alone can read: nothing is imported once root's
privileges are given up."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import _cffi_backend
import pytest
from observe import allowed
from running import TREE
from terminal import Terminal, restored

LONG = allowed(60)
WITHOUT = shutil.ignore_patterns(
    "test", "tests", "idlelib", "lib2to3", "ensurepip", "tkinter", "config-*", "turtledemo",
    "dist-packages", "site-packages", "pydoc_data", "distutils",
)  # fmt: skip
PROGRAM = """
import os, sys
def late(event, arguments, said=set()):
    if event == "import" and os.geteuid() and arguments[0] not in said:
        said.add(arguments[0])
        os.write(2, f"imported late: {arguments[0]}\\n".encode())
sys.addaudithook(late)
from ebtop.cli import main
sys.exit(main())
"""
INVOKERS = {"a login as root": {}, "sudo": {"SUDO_UID": "65534", "SUDO_GID": "65534"}}
every_invoker = pytest.mark.parametrize("invoker", INVOKERS)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """This Python with its library and this tree, in a folder of mode 0700."""
    folder = tmp_path_factory.mktemp("root-only")
    folder.chmod(0o700)
    library = Path(sysconfig.get_paths()["stdlib"])
    copied = folder / "lib" / library.name
    shutil.copytree(library, copied, ignore=WITHOUT, symlinks=True)
    shutil.copytree(TREE / "ebtop", copied / "ebtop")
    shutil.copy(_cffi_backend.__file__, copied)
    (folder / "bin").mkdir()
    shutil.copy(Path(sys.executable).resolve(), folder / "bin" / "python3")
    yield str(folder / "bin" / "python3")
    shutil.rmtree(folder)


def run(python: str, invoker: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **INVOKERS[invoker]}
    done = subprocess.run(
        [python, "-I", "-S", "-c", PROGRAM, *words], env=environment, cwd="/", timeout=LONG,
        capture_output=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert b"imported late" not in done.stderr and b"rror" not in done.stderr, done.stderr
    return done


@every_invoker
@pytest.mark.parametrize(
    "words",
    [
        ["--once", "-H"],
        ["-b", "-n", "2", "-d", "0.2", "--tree"],
        ["--json", "-n", "2", "-d", "0.2", "-H"],
        ["--json", "-n", "2", "-d", "0.2", "--source", "proc"],
        ["--json", "-n", "1", "-d", "0.2", "--probes", "sched,open"],
        ["open", "-n", "20"],
        ["open", "--json", "-n", "20"],
        ["exec", "-n", "4"],
        ["exec", "--json", "-n", "4"],
        ["tcp", "-n", "4"],
        ["tcp", "--json", "-n", "4"],
        ["mem", "-n", "4"],
        ["mem", "--json", "-n", "4"],
        ["syscalls", "-d", "0.3", "-n", "2"],
        ["syscalls", "--json", "-d", "0.3", "-n", "2"],
        ["doctor"],
        ["doctor", "--json"],
        ["selftest", "--json"],
        ["set", "none"],
    ],
    ids=" ".join,
)
def test_every_command_works(python, invoker, words):
    code = "import mmap, os, socket\nwhile True:\n mmap.mmap(-1, 4096).close()\n"
    code += " s = socket.create_server(('127.0.0.1', 0)); c = socket.socket()\n"
    code += " c.connect(s.getsockname()); s.close(); c.close()\n os.system('true')"
    with subprocess.Popen([sys.executable, "-c", code]) as noise:
        try:
            done = run(python, invoker, *words) if words[0] != "set" else None
            if done is None:
                streamed = subprocess.Popen([python, "-I", "-S", "-c", PROGRAM, "exec"],
                                            stdout=subprocess.DEVNULL, cwd="/")  # fmt: skip
                time.sleep(allowed(3))
                own = ("--instance", str(streamed.pid))
                done = run(python, invoker, *words, *own)
                streamed.kill()
                streamed.wait()
        finally:
            noise.kill()
    assert done.returncode == 0 and (done.stdout or words[0] == "set")


@every_invoker
@pytest.mark.parametrize("words", [[], ["--wait"], ["--source", "proc"]], ids=" ".join)
def test_a_run_has_its_report_and_its_status(python, invoker, words, tmp_path):
    files = {}
    if invoker == "a login as root":
        files = {"--output": tmp_path / "report", "--samples": tmp_path / "samples"}
    options = [word for pair in files.items() for word in map(str, pair)]
    script = ["--", "/bin/sh", "-c", "sleep 0.3; exit 6"]
    done = run(python, invoker, "run", "--json", *words, *options, *script)
    assert done.returncode == 6
    report = json.loads(files["--output"].read_bytes() if files else done.stdout)
    assert report["exit_code"] == 6 and report["usage"]
    done = run(python, invoker, "run", *words, *script)
    assert done.returncode == 6 and b"ebtop run: /bin/sh" in done.stdout
    if not files:
        return
    done = run(python, invoker, "diff", str(tmp_path / "report"), str(tmp_path / "report"))
    assert done.returncode == 0 and b"nothing" in done.stdout
    watched = ("-p", str(os.getpid()), "--duration", "0.3")
    done = run(python, invoker, "run", "--json", *words[:0], *watched)
    assert done.returncode == 0 and json.loads(done.stdout)["command"] == []


def test_one_kernel_function_is_followed(python):
    done = subprocess.run(
        [python, "-I", "-S", "-c", PROGRAM, "kprobe", "vfs_open", "-n", "3", "--stack", "--ret"],
        capture_output=True, cwd="/", timeout=LONG,
    )  # fmt: skip
    assert b"imported late" not in done.stderr and b"Traceback" not in done.stderr
    assert done.returncode == 0 or (done.returncode == 77 and b"EBTOP_VM" not in os.environb)


@every_invoker
@pytest.mark.parametrize("source", ["auto", "proc"])
def test_the_dashboard_answers_every_key(python, invoker, source):
    from ebtop.ui.keys import KEYS, Action

    named = {"KEY_ENTER": "\r", "KEY_DOWN": "\x1b[B", "KEY_NPAGE": "\x1b[6~", "KEY_END": "\x1b[F"}
    keys = [named.get(key, key) for key, action in KEYS.items() if action is not Action.QUIT]
    keys = [key for key in keys if not key.startswith("KEY_")]
    assert len(keys) > 30
    with Terminal(
        "-d", "0.2", "--source", source, python=(python, "-I", "-S"), program=PROGRAM,
        environment=INVOKERS[invoker],
    ) as terminal:  # fmt: skip
        terminal.wait("PID")
        for key in keys:
            terminal.type(key)
            for _ in range(3):
                terminal.read(0.02)
            # whatever was opened is left again, and a prompt is answered
            terminal.type("1\x1b" if key != "\x1b" else "")
            terminal.read(0.05)
        terminal.type("w/dev/null/x\r")
        time.sleep(0.3)
        terminal.type("\x1b")
        time.sleep(0.3)
        terminal.type("q")
        assert terminal.end() == 0 and restored(terminal) == []
    assert b"imported late" not in terminal.raw and b"Traceback" not in terminal.raw
