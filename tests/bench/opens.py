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
from pathlib import Path

from machine import cpu_ns
from report import Report

from bpf import PATH

HERE = Path(__file__).resolve().parent
EBTOP = str(Path(sys.executable).with_name("ebtop"))
MARK = b"/no/such/file/of/ebtop"
SNOOP = ["unshare", "-m", "sh", "-c", "mount -t tracefs none /sys/kernel/tracing; exec opensnoop"]
READERS = {
    "ebtop open --json": [EBTOP, "open", "--json"],
    "ebtop open": [EBTOP, "open"],
    "opensnoop": SNOOP,
}
RATES = {"20,000 a second": (60_000, 20_000), "as fast as it goes": (400_000, 0)}
BEGIN_S, END_S = 2.0, 1.0


def run(report: Report) -> None:
    for rate, (count, per_second) in RATES.items():
        report.heading(f"reading {count} file opens, {rate}")
        rows, costs = [], {}
        for name, words in READERS.items():
            seconds, cost_ns, output = _read(words, str(count), str(per_second))
            costs[name] = cost_ns / count
            printed, lost = output.count(MARK), _lost(output)
            rows.append((name, f"{count / seconds:,.0f}", f"{costs[name]:.0f}", str(printed),
                         str(lost) if name == "ebtop open --json" else "-"))  # fmt: skip
            if name == "ebtop open --json":
                report.goal(f"opens neither printed nor counted, {rate}",
                            abs(count - printed - lost), 0)  # fmt: skip
                if per_second:
                    report.goal("opens lost with the default buffer", lost, 0)
        report.table(("", "opens/s", "CPU ns/open", "printed", "lost"), rows)
        if costs["opensnoop"]:
            report.goal(f"CPU of reading opens, ebtop/opensnoop, {rate}",
                        costs["ebtop open --json"] / costs["opensnoop"], 0.7)  # fmt: skip


def _read(words: list[str], count: str, rate: str) -> tuple[float, int, bytes]:
    """Seconds that the opens took, CPU time of the reader meanwhile, and what it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        opener, output = f"{folder}/opener", Path(folder) / "output"
        subprocess.run(["cc", "-O2", "-w", "-o", opener, str(HERE / "opener.c")], check=True)
        with output.open("wb") as file:
            reader = subprocess.Popen(words, stdout=file, env={"PATH": PATH})
        time.sleep(BEGIN_S)
        before = cpu_ns(reader.pid)
        made = subprocess.run([opener, count, rate], capture_output=True, check=True)
        time.sleep(END_S)
        cost_ns = cpu_ns(reader.pid) - before
        reader.send_signal(signal.SIGINT)
        reader.wait()
        return float(made.stdout), cost_ns, output.read_bytes()


def _lost(output: bytes) -> int:
    lines = (line for line in output.splitlines() if line.startswith(b'{"type":"lost"'))
    return sum(json.loads(line)["count"] for line in lines)
