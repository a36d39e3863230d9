# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Measures what `ebtop run` costs the command: how much later it ends, and how much slower it runs.

The command is a build of many small files, three processes each. Its own time is told apart from
what ebtop needs to begin and to report, and its CPU time is said too: on a busy machine that holds
better. Rounds are interleaved, because machines drift.
"""

from __future__ import annotations

import json
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from report import Report, median, spread
from viewer import EBTOP

STARTS = 15
ROUNDS = 5
FILES = 67
NO_CALLS = ("--no-probes", "syscall")
TOOLS = ("alone", "ebtop run", "ebtop run --no-probes syscall", "strace -c -f")


def run(report: Report) -> None:
    _start(report)
    with tempfile.TemporaryDirectory() as folder:
        _build(report, Path(folder))


def _start(report: Report) -> None:
    report.heading("Wall time of true, s")
    run_it = [str(EBTOP), "run", "--output", "/dev/shm/ebtop-bench-run", "--", "true"]
    tools = {"alone": ["true"], "ebtop run": run_it}
    times: dict[str, list[float]] = {tool: [] for tool in tools}
    for _ in range(STARTS):
        for tool, command in tools.items():
            times[tool].append(_wall(command))
    rows = [(tool, f"{median(one):.3f}", spread(one, "{:.3f}")) for tool, one in times.items()]
    report.table(("", "median", "spread"), rows)
    Path("/dev/shm/ebtop-bench-run").unlink()
    more = (median(times["ebtop run"]) - median(times["alone"])) * 1000
    report.goal("wall time of `ebtop run -- true` over `true`", more, 150, " ms")


def _build(report: Report, folder: Path) -> None:
    report.heading(f"A build of {FILES} files, {ROUNDS} rounds, s")
    makefile = "all: $(patsubst %.c,%.o,$(wildcard *.c))\n%.o: %.c\n\tgcc -O1 -c $< -o $@\n"
    (folder / "Makefile").write_text(makefile)
    for index in range(FILES):
        (folder / f"f{index}.c").write_text(_source(index))
    times: dict[str, list[Times]] = {tool: [] for tool in TOOLS}
    _one(folder, "alone")  # the files are in the page cache now
    for _ in range(ROUNDS):
        for tool in TOOLS:
            times[tool].append(_one(folder, tool))
    own = {tool: [one.own_s for one in times[tool]] for tool in TOOLS}
    base = median(own["alone"])
    slower = {tool: (median(own[tool]) / base - 1) * 100 for tool in TOOLS}
    rows = [
        (tool, f"{median(own[tool]):.2f}", spread(own[tool], "{:.2f}"), f"{slower[tool]:+.1f} %",
         f"{median(one.cpu_s for one in times[tool]):.2f}",
         f"{median(one.whole_s for one in times[tool]):.2f}")
        for tool in TOOLS
    ]  # fmt: skip
    report.table(("", "median", "spread", "slower", "CPU", "with start and report"), rows)
    report.goal("slowdown of a build under `ebtop run`", slower["ebtop run"], 3, " %")
    report.goal("the same without system calls", slower[TOOLS[2]], 1, " %")
    ratio = max(0.0, slower["ebtop run"]) / slower["strace -c -f"]
    report.goal("the same, ebtop run / `strace -c -f`", ratio, 0.05)


def _source(index: int) -> str:
    lines = ["#include <stdio.h>", "#include <stdlib.h>", "#include <string.h>"]
    lines += [f"int f{index}_{n}(int x) {{ return x * {n} + {index}; }}" for n in range(20)]
    return "\n".join([*lines, ""])


class Times(NamedTuple):
    """Seconds of one round."""

    whole_s: float
    own_s: float
    """Of the build alone."""
    cpu_s: float
    """Of the build; of strace too, which is a part of its cost."""


def _one(folder: Path, tool: str) -> Times:
    for file in folder.glob("*.o"):
        file.unlink()
    build = ["make", "-s", "-j2", "-C", str(folder)]
    found = folder / "report"
    if not tool.startswith("ebtop"):
        command = build if tool == "alone" else ["strace", "-c", "-f", "-o", str(found), *build]
        before = _cpu()
        took = _wall(command)
        return Times(took, took, _cpu() - before)
    options = NO_CALLS if tool.endswith("syscall") else ()
    found.unlink(missing_ok=True)
    took = _wall([str(EBTOP), "run", "--json", "--output", str(found), *options, "--", *build])
    report = json.loads(found.read_text())
    lost = {cause: count for cause, count in report["self"]["lost"].items() if count}
    if report["total"]["processes"] < FILES * 3 or lost:
        raise SystemExit(f"{report['total']['processes']} processes in the report, lost: {lost}")
    used = report["usage"]["user_ns"] + report["usage"]["kernel_ns"]
    return Times(took, report["duration_ns"] / 1e9, used / 1e9)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _wall(command: list[str]) -> float:
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began
