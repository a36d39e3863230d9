# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sentences that must hold of the terminal after each way in which the dashboard ends."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from terminal import Terminal, restored

PROC = ("--source", "proc", "-d", "0.5")
CLEAN = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HARD = (signal.SIGQUIT, signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV)
TERMS = ("xterm-256color", "linux", "screen", "vt100")
BREAKS = """
import sys
from ebtop.ui import loop
from ebtop.cli import main
def broken(self, took_s):
    {}
loop.Loop._next_pace = broken
sys.exit(main())
"""


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("whom", ["parent", "child"])
@pytest.mark.parametrize("number", [*CLEAN, *HARD])
def test_a_signal(number: signal.Signals, whom: str, term: str) -> None:
    with Terminal(*PROC, term=term) as terminal:
        terminal.wait("PID")
        (child,) = terminal.children()
        os.kill(child if whom == "child" else terminal.process.pid, number)
        status = terminal.end()
        assert restored(terminal) == []
        if number in CLEAN:
            assert status == 0
        elif whom == "child" or number is signal.SIGQUIT:
            assert status == 128 + number
        else:
            assert status == -number
        assert not alive(child)


@pytest.mark.parametrize("stalled", ["stopped with Ctrl-S", "that nobody reads"])
@pytest.mark.parametrize("whom", ["parent", "child"])
@pytest.mark.parametrize("number", CLEAN)
def test_a_signal_ends_it_in_time_on_a_terminal(
    number: signal.Signals, whom: str, stalled: str
) -> None:
    """And it is given back; what it did not take of the last frame is thrown away."""
    with Terminal("--source", "proc", "-d", "0.1") as terminal:
        terminal.wait("PID")
        (child,) = terminal.children()
        if stalled == "that nobody reads":
            for step in range(60):  # whole frames, until there is no room for them
                terminal.resize(100 + step % 2, 30)
                time.sleep(0.02)
        else:
            terminal.type("\x13")
        time.sleep(0.5)
        began = time.monotonic()
        os.kill(child if whom == "child" else terminal.process.pid, number)
        assert terminal.process.wait(10) == 0
        assert time.monotonic() - began < 1.5  # a second, where nothing else runs
        assert restored(terminal) == [] and not alive(child)


def alive(pid: int) -> bool:
    """Whether it still runs after a moment; a zombie does not."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return False
        if state == "Z":
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("key, status", [("\x03", 0), ("\x1c", 128 + signal.SIGQUIT)])
def test_a_key_that_the_terminal_turns_into_a_signal(key: str, status: int) -> None:
    with Terminal(*PROC) as terminal:
        terminal.wait("PID")
        terminal.type(key)
        assert terminal.end() == status and restored(terminal) == []


def test_an_exception_leaves_its_traceback_on_a_restored_screen() -> None:
    program = BREAKS.format("raise ValueError('bad luck')")
    with Terminal(*PROC, program=program) as terminal:
        assert terminal.end() == 1 and terminal.unrestored() == []
        after = terminal.raw.rpartition(b"\x1b[?1049l")[2]
        assert b"Traceback" in after and b"bad luck" in after


def test_an_end_without_any_cleaning() -> None:
    with Terminal(*PROC, program=BREAKS.format("import os; os._exit(5)")) as terminal:
        assert terminal.end() == 5 and terminal.unrestored() == []


def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again() -> None:
    shell = """
import os, signal, subprocess, sys, termios
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = subprocess.Popen([sys.executable, "-c", sys.argv[1], *sys.argv[2:]], preexec_fn=os.setpgrp)
os.tcsetpgrp(0, job.pid)
_, status = os.waitpid(job.pid, os.WUNTRACED)
assert os.WIFSTOPPED(status), status
os.tcsetpgrp(0, os.getpgrp())
print("stopped", termios.tcgetattr(0)[3] & termios.ECHO != 0, flush=True)
sys.stdin.readline()
os.tcsetpgrp(0, job.pid)
os.killpg(job.pid, signal.SIGCONT)
sys.exit(job.wait())
"""
    from terminal import MAIN

    with Terminal(MAIN, *PROC, program=shell) as terminal:
        terminal.wait("PID")
        for _ in range(1):
            terminal.type("\x1a")
            terminal.wait("stopped True")
            assert terminal.unrestored() == []
            terminal.type("\n")
            terminal.wait(lambda text: "PID" in text and "stopped" not in text)
        terminal.type("q")
        assert terminal.end() == 0 and terminal.unrestored() == []


def test_ctrl_z_where_nobody_could_continue_it_is_survived() -> None:
    with Terminal(*PROC) as terminal:
        terminal.wait("PID")
        terminal.type("\x1a")
        terminal.read(0.3)
        terminal.type("h")
        terminal.wait("pause or resume")
