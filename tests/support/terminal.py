# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns a terminal for tests: runs ebtop on a pseudo-terminal and reads its screen with pyte.

What the screen must show is the tests' matter.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import pyte

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 15.0
MAIN = "import sys; from ebtop.cli import main; sys.exit(main())"
# What must be off when the terminal is given back.
_MODE = re.compile(rb"\x1b\[\?([\d;]+)([hl])")
_ALTERNATE = {b"47", b"1047", b"1049"}
_REPORTING = {b"1000", b"1002", b"1003", b"1006", b"2004"}


class _Screen(pyte.Screen):
    """pyte's, with what ncurses uses of an xterm beside: repeat a character, scroll a part."""

    _last = " "

    def draw(self, data: str) -> None:
        self._last = data[-1:]
        super().draw(data)

    def repeat(self, count: int = 1) -> None:
        self.draw(self._last * (count or 1))

    def scroll_up(self, count: int = 1) -> None:
        self._scroll(count, self.margins.bottom if self.margins else self.lines - 1, self.index)

    def scroll_down(self, count: int = 1) -> None:
        self._scroll(count, self.margins.top if self.margins else 0, self.reverse_index)

    def _scroll(self, count: int, row: int, step: Callable[[], None]) -> None:
        before, self.cursor.y = self.cursor.y, row
        for _ in range(count or 1):
            step()
        self.cursor.y = before


class _Stream(pyte.ByteStream):
    _more = {"b": "repeat", "S": "scroll_up", "T": "scroll_down"}  # noqa: RUF012 - as in pyte
    csi = {**pyte.ByteStream.csi, **_more}  # noqa: RUF012
    events = pyte.ByteStream.events | set(_more.values())


class Terminal:
    """A terminal of its own session with one command in it, as a shell would start it."""

    def __init__(
        self,
        *arguments: str,
        size: tuple[int, int] = (100, 30),
        term: str = "xterm-256color",
        program: str = MAIN,
        python: tuple[str, ...] = (sys.executable,),
        environment: dict[str, str] | None = None,
    ) -> None:
        self.screen = _Screen(*size)
        self._stream = _Stream(self.screen)
        self.raw = b""
        self._ours, self._theirs = os.openpty()
        self._set_size(*size)
        self.settings_before = termios.tcgetattr(self._theirs)
        given = {"PATH": os.environ["PATH"], "TERM": term, "LANG": "C.UTF-8", "HOME": "/"}
        self.process = subprocess.Popen(
            [*python, "-c", program, *arguments],
            cwd=ROOT, stdin=self._theirs, stdout=self._theirs, stderr=self._theirs,
            env={**given, **(environment or {})}, preexec_fn=self._take_terminal,
        )  # fmt: skip

    @staticmethod
    def _take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pid in (*self.children(), self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    # ---- what the user does ----

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        self.screen.resize(lines, columns)
        self._set_size(columns, lines)

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    # ---- what the user sees ----

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    def read(self, wait_s: float = 0.05) -> bytes:
        """What has come, after waiting for the first of it."""
        got = b""
        while select.select([self._ours], [], [], 0 if got else wait_s)[0]:
            with contextlib.suppress(OSError):
                got += os.read(self._ours, 65536)
        self.raw += got
        self._stream.feed(got)
        return got

    def wait(self, seen: Callable[[str], object] | str, patience_s: float = PATIENCE_S) -> str:
        """Reads until `seen` is on the screen, or holds for it."""
        until = time.monotonic() + patience_s
        while True:
            self.read()
            if seen in self.text if isinstance(seen, str) else seen(self.text):
                return self.text
            assert time.monotonic() < until, f"never saw {seen!r}; the screen:\n{self.text}"
            assert self.process.poll() is None or self.read(), f"it ended; the screen:\n{self.text}"

    # ---- its processes ----

    def children(self) -> list[int]:
        """The dashboard proper, as a child of the small parent."""
        try:
            path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
            return [int(pid) for pid in Path(path).read_text().split()]
        except (OSError, ProcessLookupError):
            return []

    def end(self, patience_s: float = PATIENCE_S) -> int:
        """Waits until the process has ended; its status. Goes on reading, as a terminal does."""
        until = time.monotonic() + patience_s
        while self.process.poll() is None:
            self.read()
            assert time.monotonic() < until, f"it does not end; the screen:\n{self.text}"
        self.read()
        return self.process.returncode

    def unrestored(self) -> list[str]:
        """What is not as it was before; empty for a terminal given back in good order."""
        self.read()
        modes = dict(self._modes())
        wrong = []
        if termios.tcgetattr(self._theirs) != self.settings_before:
            wrong.append("settings")
        if any(modes.get(mode) == b"h" for mode in _ALTERNATE):
            wrong.append("alternate screen")
        if modes.get(b"25") == b"l":
            wrong.append("cursor hidden")
        if any(modes.get(mode) == b"h" for mode in _REPORTING):
            wrong.append("mouse or paste reporting")
        return wrong

    def _modes(self) -> Iterator[tuple[bytes, bytes]]:
        for numbers, switch in _MODE.findall(self.raw):
            for number in numbers.split(b";"):
                yield number, switch


def restored(terminal: Terminal, patience_s: float = 5.0) -> list[str]:
    """As `unrestored`, with time for a child that outlives its parent."""
    until = time.monotonic() + patience_s
    while (wrong := terminal.unrestored()) and time.monotonic() < until:
        time.sleep(0.02)
    return wrong
