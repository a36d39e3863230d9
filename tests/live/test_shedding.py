# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A storm makes the dearest probe go, that is said, and after it the probe comes back."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any, Callable

from observe import EMULATED, allowed, workload
from running import command

Sample = dict[str, Any]


class Watcher:
    """`ebtop --json` with a budget, read sample by sample."""

    def __init__(self, *words: str) -> None:
        asked = command("--json", "-d", "0.5", "--limit", "5", *words)
        self.process = subprocess.Popen(asked, stdout=subprocess.PIPE, text=True)
        self.last = self.next()

    def next(self) -> Sample:
        assert self.process.stdout is not None
        self.last = json.loads(self.process.stdout.readline())
        return self.last

    def until(self, holds: Callable[[Sample], bool], seconds: float = 120) -> Sample:
        end = time.monotonic() + allowed(seconds)
        while not holds(self.last):
            assert time.monotonic() < end, (self.last["self"], self.last["probes"])
            self.next()
        return self.last

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate(timeout=allowed(20))


def probe(sample: Sample, name: str) -> dict[str, Any]:
    return next(probe for probe in sample["probes"] if probe["name"] == name)


def test_storm_of_system_calls_sheds_their_probe_and_calm_takes_it_back() -> None:
    storm = subprocess.Popen([workload("storm")], stdin=subprocess.PIPE)
    # ebtop alone is dearer than two percent where an emulator runs it
    budget = "12" if EMULATED else "2"
    words = ("--budget", budget, "--probes", "sched,life,tasks,syscall")
    try:
        with Watcher(*words) as watcher:
            before = watcher.until(lambda sample: probe(sample, "syscall")["state"] == "on")
            assert storm.stdin is not None
            storm.stdin.write(b"\n")
            storm.stdin.flush()
            watcher.until(lambda sample: sample["self"]["sampled"] == ["syscall"])
            sampled = watcher.until(lambda sample: probe(sample, "syscall")["every"] == 16)
            stormy = watcher.until(lambda sample: bool(sample["self"]["shed"]))
            shed = watcher.next()
            storm.kill()
            storm.wait()
            after = watcher.until(lambda sample: probe(sample, "syscall")["state"] == "on")
            assert after["self"]["shed"] == []
            counted = watcher.until(lambda sample: sample["system"]["syscalls"] is not None)
    finally:
        storm.kill()
        storm.wait()
    # first one of many is timed only: all are counted still
    assert sampled["self"]["shed"] == [] and sampled["system"]["syscalls"] > 0
    assert before["self"]["budget_percent"] == float(budget)
    assert stormy["self"]["machine_percent"] is not None
    assert stormy["self"]["shed"] == shed["self"]["shed"] == ["syscall"]
    off = probe(shed, "syscall")
    assert off["state"] == "off" and off["runs"] is None
    assert off["reason"].startswith("shed: cost ") and f" of {budget}% budget" in off["reason"]
    assert off["reason"].endswith("; though --probes names it")
    assert shed["system"]["syscalls"] is None, "what is not counted is not known"
    assert all(process["oncpu_ns"] is not None for process in shed["processes"])
    assert all(probe(shed, name)["state"] == "on" for name in ("sched", "life", "tasks"))
    assert counted["system"]["syscalls"] > 0
