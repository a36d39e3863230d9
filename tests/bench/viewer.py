# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns a tool under measurement on a terminal of its own: starts it, drains it, ends it.

What it writes is read at once and thrown away, or kept with times for `start.py`; nothing is
interpreted here, so that the bench itself costs next to nothing meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

SIZE = (160, 50)
EBTOP = Path(sys.executable).with_name("ebtop")
QUIET_S = 0.4
"""So long without output, and a frame is over."""
COMMANDS = {
    "ebtop": [str(EBTOP), "-d", "2", "--min-delay", "2", "--max-delay", "2"],
    "htop": ["htop", "-d", "20"],
    "top": ["top", "-d", "2"],
    "atop": ["atop", "2"],
}


class Viewer:
    """One tool in a terminal of SIZE, with settings of its own and none of the user's."""

    def __init__(self, command: Sequence[str]) -> None:
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        self._home = tempfile.TemporaryDirectory()
        self._fd = ours
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            list(command),
            stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True,
            env={
                "TERM": "xterm-256color", "LANG": "C.UTF-8", "HOME": self._home.name,
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            },
        )  # fmt: skip
        os.close(theirs)

    def __enter__(self) -> Viewer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        for _ in range(20):
            self.read(0.1)
            if self.process.poll() is not None:
                break
        else:
            self.process.kill()
        self.process.wait()
        os.close(self._fd)
        self._home.cleanup()

    def read(self, timeout_s: float) -> bytes:
        """What it wrote, waiting at most so long for it; empty when there was nothing."""
        if not select.select([self._fd], [], [], max(timeout_s, 0))[0]:
            return b""
        try:
            return os.read(self._fd, 1 << 16)
        except OSError:  # it has gone
            time.sleep(timeout_s)
            return b""

    def frames(self, count: int, patience_s: float) -> int:
        """Waits for so many frames, and for the silence after the last; how many came."""
        deadline = time.monotonic() + patience_s
        seen = 0
        while seen < count and time.monotonic() < deadline:
            if not self.read(deadline - time.monotonic()):
                continue
            while self.read(QUIET_S):
                pass
            seen += 1
        return seen
