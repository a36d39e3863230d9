# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What is by the second in the tables is a rate over the real interval, whatever that is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from observe import python

A_SECOND = 197
SLEEPER = f"""
import os, time
began, slept = time.monotonic(), 0
while os.getppid() == {os.getpid()}:
    slept += 1
    time.sleep(max(1e-6, began + slept / {A_SECOND} - time.monotonic()))
"""


def voluntary(pid: int) -> int:
    """The kernel's own count."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


@pytest.mark.parametrize(
    ("delay", "totals"), [(0.2, False), (4.0, False), (4.0, True)],
)  # fmt: skip
@pytest.mark.parametrize("source", ["bpf", "proc"])
def test_switches_of_the_batch_table_are_by_the_second(
    delay: float, totals: bool, source: str
) -> None:
    with python(SLEEPER) as process:
        time.sleep(0.5)
        words = ["-b", "-n", "1", "-d", str(delay), "-p", str(process.pid), "--source", source]
        command = [sys.executable, "-m", "ebtop", *words, *["--cumulative"] * totals]
        began, before = time.monotonic(), voluntary(process.pid)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        a_second = (voluntary(process.pid) - before) / (time.monotonic() - began)
        process.kill()
    lines = done.stdout.splitlines()
    titles = next(line.split() for line in lines if line.split()[:1] == ["PID"])
    (row,) = (line.split() for line in lines if line.split()[:1] == [str(process.pid)])
    shown = float(row[titles.index("VOL" if totals else "VOL/S")])
    interval = re.search(r"interval ([0-9.]+)s", lines[0])
    assert interval
    expected = a_second * float(interval.group(1)) if totals else a_second
    # how evenly it sleeps is the machine's affair; a sum is four times a rate here, or a fifth
    assert expected / 2 < shown < expected * 2, done.stdout
