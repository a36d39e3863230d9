# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sentences that must hold of the real dashboard while it runs: keys, sizes, TERM.

It runs on a pseudo-terminal with the /proc source, so it needs no privilege.
"""

from __future__ import annotations

import os
import random
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminal import Terminal

PROC = ("--source", "proc", "-d", "0.5")


def test_first_frame_and_quit() -> None:
    with Terminal(*PROC) as terminal:
        text = terminal.wait("Quit")
        assert "PID" in text and "CMD" in text
        terminal.type("q")
        assert terminal.end() == 0 and terminal.unrestored() == []


def test_filter_prompt_filters_clears_and_refuses() -> None:
    with Terminal(*PROC, "-s", "pid") as terminal:
        terminal.wait("PID")
        terminal.type("f")
        terminal.wait("Filter")
        terminal.type(f"{os.getpid()}\r")
        terminal.wait(lambda text: "kthreadd" not in text)
        terminal.wait(lambda text: f"{os.getpid()} " in text)
        terminal.type("f\x154194303\r")
        terminal.wait("there is no process 4194303")
        terminal.type("f\x15port=x\r")
        terminal.wait("not a port")
        terminal.type("\x1b")
        terminal.wait(lambda text: "Filter (" not in text)
        terminal.type("f\x15\r")
        terminal.wait(lambda text: len([line for line in text.split("\n") if " root " in line]) > 1)


def test_escape_leaves_a_prompt_as_it_was() -> None:
    with Terminal(*PROC) as terminal:
        terminal.wait("PID")
        terminal.type("fnosuchname")
        terminal.wait("nosuchname")
        terminal.type("\x1b")
        terminal.wait(lambda text: "nosuchname" not in text)


def test_q_in_a_prompt_is_a_letter() -> None:
    with Terminal(*PROC) as terminal:
        terminal.wait("PID")
        terminal.type("/qqq")
        terminal.wait("qqq")


@pytest.mark.parametrize("key", ["h", "?", "\x1bOP"])
def test_help_opens_and_closes(key: str) -> None:
    with Terminal(*PROC) as terminal:
        terminal.wait("PID")
        terminal.type(key)
        terminal.wait("pause or resume")
        terminal.type("\x1b")
        terminal.wait("PID")


def test_sort_pause_pace_zoom_and_panels() -> None:
    with Terminal(*PROC, size=(120, 40)) as terminal:
        terminal.wait("every 0.5s")
        terminal.type("+")
        terminal.wait("every 0.25s")
        terminal.type("--")
        terminal.wait("every 1s")
        terminal.type("p")
        terminal.wait("PAUSED")
        terminal.type("p")
        terminal.wait(lambda text: "PAUSED" not in text)
        terminal.type("M")
        terminal.wait("sort rss")
        terminal.type("I")
        terminal.wait("smallest first")
        for key in "4321":
            terminal.type(key)
            terminal.read(0.1)
        terminal.type("4z")
        terminal.wait(lambda text: "Events" in text and "PID" not in text)
        terminal.type("z1")
        terminal.wait("PID")
        terminal.type("\t")
        terminal.wait("VIRT")


def test_menu_of_probes_opens_switches_and_closes() -> None:
    with Terminal(*PROC) as terminal:
        terminal.wait("PID")
        terminal.type("s")
        terminal.wait("> [x] syscall")
        terminal.type(" ")
        terminal.wait("> [ ] syscall")
        terminal.type("j\r")
        terminal.wait("> [x] open")
        terminal.type("s")
        terminal.wait("PID")
        terminal.type("2")
        terminal.wait("switched off: s switches probes")
        terminal.type("s\x1b")
        terminal.wait("PID")


def test_panel_of_system_calls_says_that_there_are_none_here() -> None:
    with Terminal(*PROC) as terminal:
        terminal.wait("PID")
        terminal.type("2W>Ijkz")
        terminal.wait(lambda text: "knows nothing of system calls" in text and "PID" not in text)


def test_every_key_of_the_table_is_survived() -> None:
    from ebtop.ui.keys import KEYS, Action

    escapes = {"KEY_F1": "\x1bOP", "KEY_F3": "\x1bOR", "KEY_UP": "\x1bOA", "KEY_DOWN": "\x1bOB",
               "KEY_NPAGE": "\x1b[6~", "KEY_PPAGE": "\x1b[5~", "KEY_HOME": "\x1bOH",
               "KEY_END": "\x1bOF", "KEY_F5": "\x1b[15~", "KEY_F6": "\x1b[17~"}  # fmt: skip
    with Terminal(*PROC) as terminal:
        terminal.wait("PID")
        for key, action in KEYS.items():
            typed = escapes.get(key, key)
            if action is not Action.QUIT and not typed.startswith("KEY_"):
                terminal.type(typed)
                terminal.read(0.02)
                terminal.type("\x1b")  # out of a prompt or the help
                terminal.read(0.05)
        assert terminal.process.poll() is None
        terminal.type("\x1b[21~")  # F10
        assert terminal.end() == 0


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """Where even the user may write whom root's dashboard becomes."""
    with tempfile.TemporaryDirectory(prefix="ebtop-screens-") as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


def test_writes_the_screen_to_a_new_file_only(public_folder: Path) -> None:
    target, link = public_folder / "screen.txt", public_folder / "link"
    link.symlink_to(public_folder / "elsewhere")
    with Terminal(*PROC, size=(200, 30)) as terminal:
        terminal.wait("PID")
        terminal.type(f"w{target}\r")
        terminal.wait("the screen was written")
        assert "PID" in target.read_text() and target.stat().st_mode & 0o777 == 0o600
        for path in (target, link):
            terminal.type(f"w{path}\r")
            terminal.wait("File exists")
        terminal.type("w/dev/full\r")
        terminal.wait("cannot write")
    assert not (public_folder / "elsewhere").exists()


def test_resize_lays_the_screen_anew() -> None:
    with Terminal(*PROC) as terminal:
        terminal.wait("PID")
        terminal.resize(60, 20)
        terminal.wait(lambda text: "Quit" in text.split("\n")[19])
        terminal.resize(30, 5)
        terminal.wait("too small")
        terminal.resize(160, 50)
        terminal.wait(lambda text: "Quit" in text.split("\n")[49] and "RUNQ-WAIT" in text)


def test_resize_storm() -> None:
    sizes = random.Random(7)
    with Terminal(*PROC) as terminal:
        terminal.wait("PID")
        for number in range(300):
            terminal.resize(sizes.randint(1, 500), sizes.randint(1, 200))
            if number % 3 == 0:
                terminal.type(sizes.choice("jkzht4"))
            terminal.read(0.002)
        terminal.resize(1, 1)
        terminal.read(0.2)
        terminal.resize(120, 40)
        terminal.type("\x1b1")
        terminal.wait(lambda text: "Quit" in text.split("\n")[39])
        terminal.type("q")
        assert terminal.end() == 0 and terminal.unrestored() == []


@pytest.mark.parametrize("term", ["xterm-256color", "linux", "screen", "vt100", "unknown-term"])
def test_terms(term: str) -> None:
    with Terminal(*PROC, term=term) as terminal:
        terminal.wait("PID")
        terminal.type("q")
        assert terminal.end() == 0 and terminal.unrestored() == []


def test_terminal_that_cannot_address_its_cursor_gets_batch_mode() -> None:
    with Terminal(*PROC, "-n", "1", "-p", "1", term="dumb") as terminal:
        terminal.wait("PID")
        assert terminal.end() == 0
        assert b"\x1b" not in terminal.raw and b"batch" in terminal.raw


@pytest.mark.parametrize("arguments", [("--color", "never"), ("--color", "auto")])
def test_no_color_when_not_wanted(arguments: tuple[str, ...]) -> None:
    with Terminal(*PROC, *arguments, environment={"NO_COLOR": "1"}) as terminal:
        terminal.wait("PID")
        assert not re.search(rb"\x1b\[[\d;]*[34]\d[;m]", terminal.raw)


def test_a_calm_screen_is_not_written_again() -> None:
    with Terminal("--source", "proc", "-d", "60") as terminal:
        terminal.wait("PID")
        while terminal.read(0.3):
            pass
        assert terminal.read(1.0) == b""


def test_stops_after_the_iterations_asked_for() -> None:
    with Terminal(*PROC, "-n", "2") as terminal:
        assert terminal.end() == 0 and terminal.unrestored() == []
