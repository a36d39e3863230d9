# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns a second witness of run-queue waits: the kernel's own trace of wakeups and switches.

In an emulated machine the run queues' clocks may stand behind the monotonic clock by milliseconds,
and what schedstat says of waits with them; the times of a trace are taken at each event. What a
thread was charged between its wakeup and its last switch away was execution, the rest a wait.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType

EVENTS = ("sched_switch", "sched_wakeup")
_LINE = re.compile(r"\[\d+\] \S+ +(\d+)\.(\d+): (\w+): (.*)")
_SWITCH = re.compile(r"prev_pid=(\d+) .*prev_state=(\S+) .*next_pid=(\d+)")
_WAKEUP = re.compile(r"\bpid=(\d+)")


class Timeline:
    """Records while it is open; a buffer of its own, so that no other tracer is disturbed."""

    def __init__(self) -> None:
        self.folder = Path("/sys/kernel/tracing/instances/ebtop-tests")

    def __enter__(self) -> Timeline:
        self.folder.mkdir()
        (self.folder / "trace_clock").write_text("mono")
        (self.folder / "buffer_size_kb").write_text("16384")
        for event in EVENTS:
            (self.folder / "events" / "sched" / event / "enable").write_text("1")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.folder.rmdir()

    def runnable_ns(self, began_ns: int) -> dict[int, int]:
        """tid -> how long it ran or waited for a CPU since then, when all of them slept."""
        (self.folder / "tracing_on").write_text("0")
        since: dict[int, int] = {}
        runnable: dict[int, int] = {}
        for line in (self.folder / "trace").open():
            found = _LINE.search(line)
            at = int(found[1]) * 1_000_000_000 + int(found[2]) * 1000 if found else 0
            if not found or at < began_ns:
                continue
            if found[3] == "sched_wakeup" and (woken := _WAKEUP.search(found[4])):
                since.setdefault(int(woken[1]), at)
            elif found[3] == "sched_switch" and (switch := _SWITCH.search(found[4])):
                left, entered = int(switch[1]), int(switch[3])
                since.setdefault(entered, at)
                if not switch[2].startswith("R"):
                    runnable[left] = runnable.get(left, 0) + at - since.pop(left, at)
        return runnable
