# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns how live tests run a command that streams events: from its first event to its last line."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from typing import Any, Callable, Optional

from running import command

Event = dict[str, Any]


class Follower:
    """`ebtop COMMAND --json ...` at work; use it as a context manager.

    `mark` causes one event; it is repeated until its line shows that events are seen.
    """

    def __init__(self, mark: Callable[[], object], *words: str) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command(*words), stdout=pipe, stderr=pipe)
        assert self.process.stdout is not None
        self.fd = self.process.stdout.fileno()
        self.data = b""
        end = time.monotonic() + 20
        while not self.data:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < end, "no event is seen"
            mark()
            self.take(0.2)
        self.take(0.3)

    def take(self, seconds: float) -> None:
        """Reads for so long."""
        end = time.monotonic() + seconds
        while select.select([self.fd], [], [], max(0.0, end - time.monotonic()))[0]:
            more = os.read(self.fd, 1 << 16)
            if not more:
                return
            self.data += more

    def until(self, is_there: Callable[[bytes], bool], seconds: float = 10) -> float:
        """Reads until the output is so; how long that took."""
        began = time.monotonic()
        while not is_there(self.data):
            assert time.monotonic() < began + seconds, self.data[-500:]
            self.take(0.005)
        return time.monotonic() - began

    def end(self, number: Optional[int] = signal.SIGTERM) -> list[Event]:
        """Ends it and reads the rest: every event of it. The last line has to be whole."""
        if number is not None:
            self.process.send_signal(number)
        rest, self.errors = self.process.communicate(timeout=30)
        self.data += rest
        assert self.data.endswith(b"\n")
        return [json.loads(line) for line in self.data.splitlines()]

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def lost(events: list[Event]) -> int:
    return sum(event["count"] for event in events if event["type"] == "lost")
