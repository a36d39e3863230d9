# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The same opens seen by ebtop and by strace, of a compiler with all the processes it starts."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections import Counter
from pathlib import Path

from observe import opened

from ebtop.model.filters import KernelFilter
from ebtop.model.layout import EVENT_TYPES
from ebtop.sources.bpf import Session

OPEN = re.compile(r'^(\d+) +open(?:at\([^,]+, |\()"([^"]*)".* = (-?\d+)')
RESUMED = re.compile(r"^(\d+) +<\.\.\. open(?:at)? resumed>.* = (-?\d+)")
UNFINISHED = re.compile(r'^(\d+) +open(?:at\([^,]+, |\()"([^"]*)".*<unfinished')
SOURCE = '#include <stdio.h>\n#include <stdlib.h>\nint main(void) { return puts(getenv("A")); }\n'


def traced_opens(log: str) -> tuple[Counter[tuple[str, bool]], set[int]]:
    """What strace saw: name and whether it failed; and the pids that it followed."""
    found: Counter[tuple[str, bool]] = Counter()
    begun: dict[int, str] = {}
    for line in log.splitlines():
        if match := UNFINISHED.match(line):
            begun[int(match[1])] = match[2]
        elif match := OPEN.match(line):
            found[match[2], int(match[3]) < 0] += 1
        elif match := RESUMED.match(line):
            found[begun.pop(int(match[1])), int(match[2]) < 0] += 1
    return found, {int(line.split()[0]) for line in log.splitlines()}


def drained(session: Session) -> list[tuple[int, str, bool]]:
    """pid, name and failure of the opens since the last look."""
    stream = session.stream()
    assert not any(stream.lost.values())
    return [
        (row["pid"], os.fsdecode(stream.text[row["text"] : row["text"] + row["text_bytes"]]),
         row["result"] < 0)
        for row in stream.events.rows()
        if EVENT_TYPES[row["type"]] == "open"
    ]  # fmt: skip


def test_a_compiler_opens_what_strace_says(tmp_path: Path) -> None:
    source, log = tmp_path / "small.c", tmp_path / "log"
    source.write_text(SOURCE)
    trace = ["strace", "-f", "-s", "5000", "-e", "trace=open,openat", "-o", str(log)]
    seen: list[tuple[int, str, bool]] = []
    with opened(["sched", "life", "tasks", "open"]) as session:
        session.set_filter(KernelFilter(pid=os.getpid(), descendants=True))
        session.refresh()
        session.stream()
        command = [*trace, "cc", "-O1", str(source), "-o", str(tmp_path / "small")]
        with subprocess.Popen(command) as compiling:
            while compiling.poll() is None:
                seen += drained(session)
                time.sleep(0.02)
        seen += drained(session)
    assert compiling.returncode == 0
    expected, pids = traced_opens(log.read_text())
    assert len(pids) >= 4 and sum(expected.values()) > 100
    # strace does not follow itself, and what its child opens before it is traced it does not see
    assert Counter((name, failed) for pid, name, failed in seen if pid in pids) == expected
