# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns a second witness of disk requests: the kernel's own trace of their issue and completion."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

import pytest

EVENTS = ("block_io_start", "block_rq_issue", "block_rq_complete")
_LINE = re.compile(
    r" (\d+)\.(\d+): (block_\w+): (\d+,\d+) (\w+) (?:\d+ )?\([^)]*\) (\d+) \+ (\d+) .*\[(.*)\]$"
)


class RequestLog:
    """Records while it is open; a buffer of its own, so that no other tracer is disturbed."""

    def __init__(self) -> None:
        self._mounted: tempfile.TemporaryDirectory[str] | None = None
        root = Path("/sys/kernel/tracing")
        if not (root / "instances").is_dir():
            self._mounted = tempfile.TemporaryDirectory(prefix="ebtop-tracefs-")
            root = Path(self._mounted.name)
            command = ["mount", "-t", "tracefs", "none", str(root)]
            if subprocess.run(command, capture_output=True, check=False).returncode:
                pytest.skip("tracefs cannot be mounted here")
        self._root = root
        self._folder = root / "instances" / "ebtop-disks"

    def __enter__(self) -> RequestLog:
        self._folder.mkdir()
        (self._folder / "trace_clock").write_text("mono")
        (self._folder / "buffer_size_kb").write_text("8192")
        events = self._folder / "events" / "block"
        self._tells_start = (events / EVENTS[0]).is_dir()
        for event in EVENTS[not self._tells_start :]:
            (events / event / "enable").write_text("1")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.rmdir()
        if self._mounted is not None:
            subprocess.run(["umount", str(self._root)], check=True)
            self._mounted.cleanup()

    def latencies_ns(self, comm: str) -> list[int]:
        """Of the requests that a task of that name made; whole microseconds.

        Who issues a request may issue others' with it; before Linux 6.5 nothing tells them apart.
        """
        (self._folder / "tracing_on").write_text("0")
        issued: dict[tuple[str, str], int] = {}
        mine: set[tuple[str, str]] = set()
        found = []
        for line in (self._folder / "trace").open():
            match = _LINE.search(line.rstrip("\n"))
            if not match:
                continue
            at = int(match[1]) * 1_000_000_000 + int(match[2]) * 1000
            request = (match[4], match[6])
            if match[3] == "block_io_start" and match[8] == comm:
                mine.add(request)
            elif match[3] == "block_rq_issue" and (
                request in mine if self._tells_start else match[8] == comm
            ):
                mine.discard(request)
                issued[request] = at
            elif match[3] == "block_rq_complete" and request in issued:
                found.append(at - issued.pop(request))
        return found
