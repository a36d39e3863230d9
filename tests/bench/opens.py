# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Measures what reading a stream of file opens costs, and whether each is printed or counted.

`ebtop open --json` and `ebtop open` beside libbpf-tools' opensnoop: CPU time of the reader by
events made, output into a file. opensnoop needs tracefs; a private mount gives it one.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from machine import cpu_ns
from report import Report, median, ratio, spread
from switch import REPEATS, Times, count

import bpf
from bpf import PATH
from ebtop.sources.bpf import Session

HERE = Path(__file__).resolve().parent
EBTOP = str(Path(sys.executable).with_name("ebtop"))
MARK = b"/no/such/file/of/ebtop"
READERS = {
    "ebtop open --json": [EBTOP, "open", "--json"],
    "ebtop open": [EBTOP, "open"],
    "opensnoop": bpf.with_tracefs(["opensnoop"]),
}
SLOW = "20,000 a second"
RATES = {
    SLOW: (200_000, 20_000),
    "100,000 a second": (1_000_000, 100_000),
    "as fast as it goes": (1_000_000, 0),
}
PROBED = 100_000
PROBED_BUFFER = 64 << 20
"""Holds all of them: a probe that finds no room would look cheap."""
BEGIN_S, END_S = 2.0, 1.0


def run(report: Report) -> None:
    with tempfile.TemporaryDirectory() as folder:
        opener = f"{folder}/opener"
        subprocess.run(["cc", "-O2", "-w", "-o", opener, str(HERE / "opener.c")], check=True)
        _in_bpf(report, opener)
        for rate in RATES:
            _readers(report, opener, rate)


def _in_bpf(report: Report, opener: str) -> None:
    report.heading(f"Time per open in BPF: {PROBED} opens, ns")
    times: dict[str, Times] = {"ebtop": defaultdict(list)}

    def load() -> None:
        subprocess.run([opener, str(PROBED), "0"], capture_output=True, check=True)

    with bpf.statistics():
        before = set(bpf.programs())
        with Session(["sched", "open"], events_bytes=PROBED_BUFFER) as session:
            session.refresh()
            ours = {"ebtop": set(bpf.programs()) - before}
            probes = {program.name: program.probe for program in session.programs()}
            for _ in range(REPEATS):
                session.stream()
                count(ours, times, load)
                lost = session.stream().lost["ring_buffer"]
                if lost:
                    raise SystemExit(f"{lost} opens found no room: their probe cannot be timed")
    rows = [
        (name, probes[name], f"{median(values):.0f}", spread(values, "{:.0f}"))
        for name, values in sorted(times["ebtop"].items())
        if probes.get(name) in ("open", "syscall")
    ]
    report.table(("program", "of probe", "ns", "spread"), rows)


def _readers(report: Report, opener: str, rate: str) -> None:
    made, per_second = RATES[rate]
    report.heading(f"reading {made} file opens, {rate}")
    rows, costs = [], {}
    for name, words in READERS.items():
        seconds, cost_ns, printed, lost = _read(words, [opener, str(made), str(per_second)])
        costs[name] = cost_ns / made
        says_lost = name == "ebtop open --json"
        rows.append((name, f"{made / seconds:,.0f}", f"{costs[name]:.0f}", str(printed),
                     str(lost) if says_lost else "-"))  # fmt: skip
        if says_lost:
            report.goal(f"opens neither printed nor counted, {rate}", abs(made - printed - lost), 0)
        if says_lost and rate == SLOW:
            report.goal("opens lost with the default buffer", lost, 0)
    report.table(("", "opens/s", "CPU ns/open", "printed", "lost"), rows)
    share = ratio(costs["ebtop open --json"], costs["opensnoop"])
    report.goal(f"CPU of reading opens, ebtop/opensnoop, {rate}", share, 0.7)


def _read(words: list[str], opener: list[str]) -> tuple[float, int, int, int]:
    """Seconds that the opens took, CPU time of the reader meanwhile, and printed and lost."""
    with tempfile.TemporaryFile() as output:
        reader = subprocess.Popen(words, stdout=output, env={"PATH": PATH})
        time.sleep(BEGIN_S)
        before = cpu_ns(reader.pid)
        made = subprocess.run(opener, capture_output=True, check=True)
        time.sleep(END_S)
        cost_ns = cpu_ns(reader.pid) - before
        reader.send_signal(signal.SIGINT)
        reader.wait()
        output.seek(0)
        return float(made.stdout), cost_ns, *_printed_and_lost(output)


def _printed_and_lost(output: Iterable[bytes]) -> tuple[int, int]:
    """Line by line: a million lines are too many to hold."""
    printed = lost = 0
    for line in output:
        if MARK in line:
            printed += 1
        elif line.startswith(b'{"type":"lost"'):
            lost += json.loads(line)["count"]
    return printed, lost
