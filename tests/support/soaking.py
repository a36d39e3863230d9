# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the course of a soak: the load, a dashboard and a `--json` in it, a sample a second of both.

What the samples mean is decided in judging.py.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import bpfmaps
from judging import ROUND_SECONDS
from running import command
from terminal import Terminal

LOAD = ("--fork", "1", "--switch", "1", "--io", "1", "--sock", "1")
OPTIONS = ("--source", "bpf", "--delay", "1")
KEYS = {2: "2", 5: "4", 7: "H", 9: "h", 11: "h", 12: "t", 14: "t", 15: "H", 16: "1"}
"""What is typed in which second of a round: panels, which switch probes; help; threads; tree."""
REST_SECONDS = 15.0
PROCESSES = ("dashboard", "supervisor", "json")
Counts = dict[str, int]


def kernel_counts() -> Counts:
    words = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    return {word[0]: int(word[1]) for word in words if word[0] in ("ctxt", "processes")}


def alive() -> int:
    """How many processes there are, without those that have ended and wait for their parents."""
    count = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            count += path.read_text("latin-1").rpartition(")")[2].split()[0] not in "ZX"
        except OSError:  # gone meanwhile
            continue
    return count


def measured(pid: int) -> dict[str, float]:
    """What one process holds, and what the kernel holds for its BPF maps."""
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    return {
        "resident": resident,
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": len(os.listdir(f"/proc/{pid}/task")),
        "map bytes": sum(int(m["memlock"]) for m in bpfmaps.described(pid).values()),
    }


class Json:
    """`ebtop --json`, and its samples, each with the kernel's counts at that moment."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            command("--json", "--limit", "20", *OPTIONS), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.samples: list[tuple[dict[str, Any], Counts]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            now = kernel_counts()
            sample = json.loads(line)
            self.samples.append(({name: sample[name] for name in ("system", "self")}, now))

    def wait(self, more: int) -> int:
        """The number of samples, after as many more."""
        enough, until = len(self.samples) + more, time.monotonic() + 30 + more
        while len(self.samples) < enough:
            assert self.process.poll() is None and time.monotonic() < until, "no sample comes"
            time.sleep(0.05)
        return len(self.samples)

    def end(self) -> tuple[int, str]:
        """As by Ctrl-C; its status, and what it complained of."""
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(30)
        self._reader.join(30)
        assert self.process.stderr is not None
        return status, self.process.stderr.read()


@dataclass
class Soak:
    """All that was seen."""

    samples: list[dict[str, float]] = field(default_factory=list)
    before: Counts = field(default_factory=dict)
    after: Counts = field(default_factory=dict)
    system: list[dict[str, Any]] = field(default_factory=list)
    """ebtop's own account of the time between the two, a sample each."""
    lost: Counts = field(default_factory=dict)
    stale_slots: dict[str, set[int]] = field(default_factory=dict)
    """Of each session: ended threads that still have a slot, or whose pid leads to one."""
    at_rest: Counts = field(default_factory=dict)
    """How many processes ebtop sees when all is over, and how many there are."""
    log: list[str] = field(default_factory=list)
    """What the kernel had to say meanwhile."""
    ends: dict[str, tuple[int, str]] = field(default_factory=dict)


def soak(seconds: float, file: Path) -> Soak:
    """Lets it run under load for so long; the samples are in `file` too, as they come."""
    found = Soak()
    kernel_log = _KernelLog()
    with ExitStack() as stack:
        reader = Json()
        stack.callback(reader.process.kill)
        terminal = stack.enter_context(Terminal(*OPTIONS, size=(160, 50)))
        terminal.wait("PID")
        pids = dict(zip(PROCESSES, (terminal.children()[0], terminal.process.pid,
                                    reader.process.pid)))  # fmt: skip
        sessions = {name: bpfmaps.Occupancy(pids[name]) for name in ("dashboard", "json")}
        first = reader.wait(3)
        found.before = _all_counts(sessions["json"])
        _under_load(seconds, found, pids, sessions, terminal, stack, file)
        found.stale_slots = {name: _stale(session, terminal) for name, session in sessions.items()}
        last = reader.wait(2)
        found.after = _all_counts(sessions["json"])
        # nearer to the samples than what was read just now
        found.before.update(reader.samples[first - 1][1])
        found.after.update(reader.samples[last - 1][1])
        found.system = [sample["system"] for sample, _ in reader.samples[first:last]]
        found.lost = _lost(reader, first, last)
        processes = len(list(Path("/proc").glob("[0-9]*")))
        found.at_rest = {"seen": found.system[-1]["processes"], "there": processes}
        found.ends["json"] = reader.end()
        terminal.type("q")
        found.ends["dashboard"] = (terminal.end(), "")
    found.log = kernel_log.lines()
    return found


def _all_counts(session: bpfmaps.Occupancy) -> Counts:
    """The kernel's, of births once more as `born`, beside the slots given out at that moment."""
    return {"alive": alive(), "born": kernel_counts()["processes"], "slots": session.given_out()}


def _lost(reader: Json, first: int, last: int) -> Counts:
    before = reader.samples[first - 1][0]["self"]["lost_total"]
    after: Counts = reader.samples[last - 1][0]["self"]["lost_total"]
    return {cause: count - before[cause] for cause, count in after.items()}


def _under_load(
    seconds: float, found: Soak, pids: dict[str, int], sessions: dict[str, bpfmaps.Occupancy],
    terminal: Terminal, stack: ExitStack, file: Path,
) -> None:  # fmt: skip
    complaints = stack.enter_context(tempfile.TemporaryFile("w+"))  # noqa: SIM115
    load = _start_load(seconds, complaints)
    stack.callback(_end, load)
    began = time.monotonic()
    with file.open("w", newline="") as out:
        writer = None
        for second in range(int(seconds)):
            while (wait := began + second - time.monotonic()) > 0:
                terminal.read(wait)
            terminal.raw = b""
            terminal.type(KEYS.get(second % ROUND_SECONDS, ""))
            sample = {
                "second": time.monotonic() - began,
                "live threads": len(bpfmaps.live_threads()),
            }
            for name, pid in pids.items():
                sample.update({f"{name} {what}": value for what, value in measured(pid).items()})
            for name, session in sessions.items():
                sample[f"{name} slots used"] = session.used()
            found.samples.append(sample)
            writer = writer or csv.DictWriter(out, sample)
            if len(found.samples) == 1:
                writer.writeheader()
            writer.writerow(sample)
            out.flush()
            if load.poll() is not None:
                complaints.seek(0)
                raise AssertionError(f"the load ended early: {complaints.read()}")
    _end(load)


def _start_load(seconds: float, complaints: IO[str]) -> subprocess.Popen[bytes]:
    program = shutil.which("stress-ng")
    assert program, "there is no stress-ng: apt-get install stress-ng"
    # it is ended from here, long before this time
    options = ["--temp-path", "/tmp", "--timeout", f"{int(seconds) * 2 + 600}"]
    return subprocess.Popen([program, *LOAD, *options], stdin=subprocess.DEVNULL,
                            stdout=complaints, stderr=complaints)  # fmt: skip


def _end(load: subprocess.Popen[bytes]) -> None:
    if load.poll() is None:
        load.send_signal(signal.SIGINT)
        load.wait(60)


def _stale(session: bpfmaps.Occupancy, terminal: Terminal) -> set[int]:
    """Threads that are gone and still occupy something, after a time for the last to be let go."""
    until = time.monotonic() + REST_SECONDS
    stale = session.stale()
    while stale and time.monotonic() < until:
        terminal.read(0.5)
        stale &= session.stale()
    return stale


class _KernelLog:
    """What the kernel writes into its log from now on."""

    def __init__(self) -> None:
        self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self._fd, 0, os.SEEK_END)

    def lines(self) -> list[str]:
        """Each with its level in front; those that programs wrote are left out."""
        found = []
        while True:
            try:
                record = os.read(self._fd, 8192).decode("utf-8", "replace")
            except BlockingIOError:
                break
            except BrokenPipeError:  # some were overwritten before they were read
                found.append("0 part of the kernel's log was overwritten")
                continue
            head, _, text = record.partition(";")
            priority = int(head.split(",")[0])
            if priority < 8:
                found.append(f"{priority & 7} {text.splitlines()[0]}")
        os.close(self._fd)
        return found
