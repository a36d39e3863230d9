# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""`ebtop run` in a terminal: it is the command's, and what its keys send reaches the command."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import sys
import termios
import time
from collections.abc import Callable

from observe import allowed, until_asleep
from running import command

PATIENCE_S = allowed(30)
TALK = """
import os, sys
whole = all(map(os.isatty, range(3))) and os.tcgetpgrp(0) == os.getpgrp() != os.getsid(0)
print("ready", os.getpid(), whole, flush=True)
print("got", input(), flush=True)
sys.exit(4)
"""
COUNT = """
import os, signal, sys, time
times = []
signal.signal(signal.SIGINT, lambda *_: times.append(1))
print("ready", os.getpid(), flush=True)
while not times: time.sleep(0.01)
time.sleep(0.4)
print("told", len(times), flush=True)
sys.exit(9)
"""

WAIT = """
import os, signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
print("ready", os.getpid(), flush=True)
while True: signal.pause()
"""


class Job:
    """`ebtop run` as a shell's job in the foreground of a terminal of its own. Who starts it leads
    the session, as a shell does: a group without a parent there cannot be stopped."""

    def __init__(self, code: str) -> None:
        self.said = b""
        words = command("run", "--", sys.executable, "-I", "-S", "-c", code)
        self.master, terminal = os.openpty()
        pid_read, pid_write = os.pipe()
        self.shell = os.fork()
        if self.shell == 0:
            try:
                _lead(terminal, words, pid_write)
            finally:
                os._exit(99)
        os.close(terminal)
        os.close(pid_write)
        self.pid = int(os.read(pid_read, 32))
        os.close(pid_read)

    def until(self, is_there: Callable[[bytes], bool]) -> bytes:
        """Reads on until it is so."""
        end = time.monotonic() + PATIENCE_S
        while not is_there(self.said):
            assert time.monotonic() < end, self.said
            if select.select([self.master], [], [], 0.1)[0]:
                self.said += os.read(self.master, 4096)
        return self.said

    def command_pid(self) -> int:
        said = self.until(lambda data: b"ready " in data and data.endswith(b"\n"))
        return int(said.split(b"ready ")[1].split()[0])

    def status(self) -> int:
        """Of `ebtop run`; what the terminal shows meanwhile is read, or it could not end."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if select.select([self.master], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):  # the other side is closed
                    self.said += os.read(self.master, 4096)
            pid, status = os.waitpid(self.shell, os.WNOHANG)
            if pid:
                return os.WEXITSTATUS(status)
        raise AssertionError(self.said)

    def close(self) -> None:
        os.close(self.master)


def _lead(terminal: int, words: list[str], tell: int) -> None:
    """What a shell does for a job in the foreground; ends with the job's status."""
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for fd in range(3):
        os.dup2(terminal, fd)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpgrp())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execv(words[0], words)
    os.write(tell, str(pid).encode())
    _, status = os.waitpid(pid, 0)
    os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 98)


def test_the_terminal_is_the_command_s() -> None:
    job = Job(TALK)
    assert b" True" in job.until(lambda data: b"ready " in data and data.endswith(b"\n"))
    os.write(job.master, b"a word\n")
    assert job.status() == 4
    assert b"got a word" in job.said and b"exit status                4" in job.said
    job.close()


def test_ctrl_c_reaches_the_command_once() -> None:
    job = Job(COUNT)
    job.command_pid()
    os.write(job.master, b"\x03")
    assert job.status() == 9
    assert b"told 1" in job.said and b"exit status                9" in job.said
    job.close()


def test_ctrl_c_ends_a_command_that_does_not_mind_it() -> None:
    job = Job(WAIT)
    job.command_pid()
    os.write(job.master, b"\x03")
    assert job.status() == 128 + signal.SIGINT
    assert b"130 (SIGINT)" in job.said
    job.close()


def test_ctrl_z_stops_both_and_they_go_on() -> None:
    job = Job(TALK)
    pid = job.command_pid()
    os.write(job.master, b"\x1a")
    for one in (pid, job.pid):
        until_asleep(one, "T")
    os.killpg(job.pid, signal.SIGCONT)
    os.write(job.master, b"again\n")
    assert job.status() == 4 and b"got again" in job.said
    job.close()
