# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Measures the time from exec to the first complete frame: a heading and rows under it.

Output is kept with its times and read by a terminal emulator afterwards, so that the emulator
takes no time from the tool.
"""

from __future__ import annotations

import re
import time

import pyte
from machine import processes
from report import Report, median, spread
from viewer import COMMANDS, SIZE, Viewer

REPEATS = 10
PEER_REPEATS = 3
WATCH_S = 1.2
_ROW = re.compile(r"^\W*\d+ +\S+ .*\S")
_HEADING = re.compile(r"\bPID\b")


def run(report: Report) -> None:
    report.heading("Start to the first frame with rows, 100 processes, s")
    rows = []
    ours: list[float] = []
    with processes(100):
        for tool in ("ebtop", "htop", "top"):
            repeats = REPEATS if tool == "ebtop" else PEER_REPEATS
            times = [_first_frame(tool) for _ in range(repeats)]
            if tool == "ebtop":
                ours = times
            rows.append((tool, f"{median(times):.3f}", spread(times, "{:.3f}"), str(repeats)))
    report.table(("", "median", "spread", "starts"), rows)
    report.goal("start to first frame, 100 processes", median(ours), 0.4, " s")


def _first_frame(tool: str) -> float:
    chunks: list[tuple[float, bytes]] = []
    with Viewer(COMMANDS[tool]) as viewer:
        deadline = viewer.started + WATCH_S
        while time.monotonic() < deadline:
            data = viewer.read(deadline - time.monotonic())
            if data:
                chunks.append((time.monotonic() - viewer.started, data))
    screen = pyte.Screen(*SIZE)
    stream = pyte.ByteStream(screen)
    for after, data in chunks:
        stream.feed(data)
        if _is_frame(screen.display):
            return after
    raise SystemExit(f"{tool} drew no frame in {WATCH_S} s")


def _is_frame(lines: list[str]) -> bool:
    for at, line in enumerate(lines):
        if _HEADING.search(line):
            return sum(bool(_ROW.match(row)) for row in lines[at + 1 :]) >= 3
    return False
