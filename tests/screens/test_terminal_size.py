# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A terminal may say that it has 65535 columns and lines, before and while the dashboard runs, and
so may the environment: what is drawn is bounded, and so is the memory that it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from terminal import MAIN, Terminal, restored

PROC = ("--source", "proc", "-d", "0.3")
SAYS = """
import fcntl, struct, termios
fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", {lines}, {columns}, 0, 0))
"""


def peak_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def assert_shown_and_ended(terminal: Terminal) -> None:
    terminal.wait("PID", 30)
    (child,) = terminal.children()
    assert peak_bytes(child) < 200 << 20
    terminal.type("q")
    assert terminal.end(30) == 0 and restored(terminal) == []


@pytest.mark.parametrize(("columns", "lines"), [(65535, 65535), (65535, 24)])
def test_huge_terminal(columns: int, lines: int) -> None:
    program = SAYS.format(columns=columns, lines=lines) + MAIN
    size = (min(columns, 1000), min(lines, 500))
    with Terminal(*PROC, size=size, program=program) as terminal:
        assert_shown_and_ended(terminal)


def test_terminal_that_becomes_huge() -> None:
    with Terminal(*PROC, size=(100, 30)) as terminal:
        terminal.wait("PID")
        terminal.screen.resize(500, 1000)
        terminal._set_size(65535, 65535)
        terminal.wait(lambda text: len(text.partition("4 Events")[0]) > 100000, 60)
        assert_shown_and_ended(terminal)


@pytest.mark.parametrize("told", ["99999999", "9" * 40, "-5"])
def test_environment_that_says_so(told: str) -> None:
    environment = {"COLUMNS": told, "LINES": told}
    with Terminal(*PROC, size=(1000, 500), environment=environment) as terminal:
        assert_shown_and_ended(terminal)


def test_one_frame_for_a_huge_terminal() -> None:
    program = SAYS.format(columns=65535, lines=65535) + MAIN
    with Terminal("--once", *PROC, size=(1000, 500), program=program) as terminal:
        assert terminal.end(60) == 0
