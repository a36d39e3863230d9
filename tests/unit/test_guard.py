# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sentences that must hold of the small parent, without a dashboard: bare children.

Each case runs in a process of its own on a pseudo-terminal, because the guard owns signals.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Optional

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import os, signal, sys, time, tty
from ebtop.ui import guard
line = guard.go_under_guard()
line.entered(b"<gone>")
tty.setraw(1)
print("ready", os.getpid(), flush=True)
{body}
line.left()
"""


def run(body: str, send: Optional[int] = None) -> tuple[int, bytes, bool]:
    """Exit status, what the terminal got, and whether its settings are as before."""
    ours, theirs = os.openpty()
    before = termios.tcgetattr(theirs)
    code = PROGRAM.format(body=body)
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    seen = b""
    while not re.search(rb"ready \d+\s", seen):
        assert select.select([ours], [], [], 10)[0], seen
        seen += os.read(ours, 4096)
    if send is not None:
        os.kill(process.pid, send)
    status = process.wait(10)
    same = termios.tcgetattr(theirs) == before
    os.set_blocking(ours, False)
    with contextlib.suppress(BlockingIOError):
        seen += os.read(ours, 4096)
    os.close(theirs)
    os.close(ours)
    return status, seen, same


def test_a_clean_end_writes_nothing() -> None:
    status, seen, same = run("pass")
    assert (status, b"<gone>" in seen, same) == (0, False, True)


@pytest.mark.parametrize(
    "body, status",
    [
        ("os._exit(3)", 3),
        ("raise ValueError('no')", 1),
        ("sys.exit(4)", 4),
        *(
            (f"os.kill(os.getpid(), {int(number)})", 128 + number)
            for number in (signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV, signal.SIGQUIT)
        ),
    ],
)
def test_an_abnormal_end_is_cleaned_up(body: str, status: int) -> None:
    assert run(body)[0] == status
    _, seen, same = run(body)
    assert seen.count(b"<gone>") == 1 and same


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signals_reach_the_child_and_its_end_is_kept(number: int) -> None:
    status, seen, same = run("time.sleep(30)", send=number)
    assert (status, seen.count(b"<gone>"), same) == (128 + number, 1, True)


def test_the_parent_is_small() -> None:
    body = "time.sleep(0.5); statm = open(f'/proc/{os.getppid()}/statm').read().split()"
    text = run(body + "; print('pages', statm[1])")
    pages = re.search(rb"pages (\d+)", text[1])
    assert pages and int(pages.group(1)) * os.sysconf("SC_PAGE_SIZE") < 10 << 20


def test_child_hears_of_the_death_of_its_parent() -> None:
    body = "import select; select.select([line.parent_fd], [], [], 20); line._note(b'L')"
    body += "; print('heard', flush=True); os._exit(0)"
    started = time.monotonic()
    status, seen, _ = run(body, send=signal.SIGKILL)
    assert status == -signal.SIGKILL and time.monotonic() - started < 10
    # the child may need a moment more than its parent's exit
    assert b"<gone>" not in seen
