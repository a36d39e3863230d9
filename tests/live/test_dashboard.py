# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sentences that must hold of the dashboard over the BPF source: it is shown, fast, and
nothing of it stays in the kernel or on the terminal however it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kernelobjects import assert_gone_within_a_second, held, programs
from observe import allowed
from terminal import MAIN, ROOT, Terminal, restored

BPF = ("--source", "bpf", "-d", "0.5")


def test_shows_short_lived_processes_and_quits() -> None:
    with Terminal(*BPF, size=(160, 50)) as terminal:
        terminal.wait("Quit")
        assert "no BPF" not in terminal.text
        for _ in range(20):
            subprocess.run(["/bin/true"], check=True)
        terminal.wait(lambda text: "exit" in text and "true" in text)
        assert any(map(held, terminal.children()))
        assert not held(terminal.process.pid)
        terminal.type("q")
        assert terminal.end() == 0 and terminal.unrestored() == []


@pytest.mark.parametrize("whom", ["parent", "child"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL, signal.SIGSEGV])
def test_ends_with_the_terminal_restored_and_nothing_left(number: int, whom: str) -> None:
    with Terminal(*BPF) as terminal:
        terminal.wait("Quit")
        (child,) = terminal.children()
        objects = held(child)
        assert objects
        os.kill(child if whom == "child" else terminal.process.pid, number)
        terminal.end()
        assert restored(terminal) == []
        assert_gone_within_a_second(objects)


@pytest.mark.long("what it judges is a duration, and an emulator's says nothing")
def test_first_frame_comes_soon() -> None:
    took = []
    for _ in range(3):
        began = time.monotonic()
        with Terminal(*BPF) as terminal:
            terminal.wait("Quit")
            took.append(time.monotonic() - began)
    assert min(took) < allowed(1.0), took


def test_reset_totals_and_threads() -> None:
    with Terminal(*BPF, size=(160, 50)) as terminal:
        terminal.wait("Quit")
        terminal.type("c")
        terminal.wait("totals")
        terminal.type("r")
        terminal.wait("counters start from 0")
        terminal.type("H")
        terminal.wait("threads")
        terminal.type("q")
        assert terminal.end() == 0


def test_system_calls_are_counted_while_their_panel_shows() -> None:
    code = "import time\nwhile True: time.sleep(0.005)"
    sleeper = subprocess.Popen([sys.executable, "-c", code])
    try:
        with Terminal(*BPF, "--max-delay", "0.5", size=(160, 50)) as terminal:
            terminal.wait("Quit")
            terminal.type(f"2f{sleeper.pid}\r")
            terminal.wait(lambda text: re.search(r"^ clock_nanosleep +\d+ +0 ", text, re.M))
            terminal.wait(f"in the kernel: pid {sleeper.pid}")
            terminal.wait(lambda text: "[4.19ms, 8.39ms)" in text and " p50" in text)
            assert counts_calls(terminal)
            terminal.type("W")
            terminal.wait(lambda text: "2 System calls  last " in text and "interval" not in text)
            terminal.type("W")
            terminal.wait("since reset")
            sleeper.kill()
            sleeper.wait()
            terminal.wait(f"pid {sleeper.pid} (")
            terminal.type("1")
            terminal.wait(lambda text: "4 Events" in text)
            until = time.monotonic() + 2.0
            while counts_calls(terminal):
                terminal.read()
                assert time.monotonic() < until, "the probe runs though nothing shows it"
            terminal.type("q")
            assert terminal.end() == 0
    finally:
        sleeper.kill()
        sleeper.wait()


def counts_calls(terminal: Terminal) -> bool:
    """Whether a process of the dashboard holds programs of system calls."""
    names = set().union(*map(programs, terminal.children()))
    return any(name.startswith("enter_") for name in names)


def test_opens_are_logged_when_switched_on(tmp_path: Path) -> None:
    missing = tmp_path / "no-such-file"
    line = re.compile(rf"open +{os.getpid()} +\S+ +ENOENT +\S+ +{missing}")

    def is_logged(text: str) -> bool:
        with pytest.raises(FileNotFoundError):
            missing.open()
        return line.search(text) is not None

    with Terminal(*BPF, "--max-delay", "0.5", "-p", str(os.getpid()), size=(200, 50)) as terminal:
        terminal.wait("open -")
        assert "s: log more" in terminal.text
        terminal.type("sj \x1b4")
        terminal.wait(is_logged)
        terminal.type("q")
        assert terminal.end() == 0


def test_a_filter_set_from_outside_is_shown_and_cleared_here() -> None:
    me = str(os.getpid())
    with Terminal(*BPF, "--max-delay", "0.5", size=(160, 50)) as terminal:
        terminal.wait("Quit")
        (child,) = terminal.children()
        assert "in the kernel" not in terminal.text
        arguments = ["set", "--instance", str(child), f"pid={me}"]
        subprocess.run([sys.executable, "-c", MAIN, *arguments], check=True, cwd=ROOT)
        terminal.wait(f"in the kernel: pid {me}")
        terminal.type("f\r")
        terminal.wait(lambda text: "in the kernel" not in text)
        terminal.type("q")
        assert terminal.end() == 0


def test_two_at_once() -> None:
    with Terminal(*BPF) as first, Terminal(*BPF) as second:
        for terminal in (first, second):
            terminal.wait("Quit")
        for terminal in (first, second):
            terminal.type("q")
            assert terminal.end() == 0 and terminal.unrestored() == []
