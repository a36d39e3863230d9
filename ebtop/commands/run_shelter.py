# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns `ebtop run` under a memory limit: the command must have as much memory as without ebtop.

Its need is not known in advance. So the watcher is a separate process, the first that the kernel
kills at the limit. The command's parent uses next to no memory (csrc/standby.c), and continues
without a report. Memory of BPF is freed later than that of a process, so it may be at most a
sixteenth of what is left. If the watcher does not fit, or would not be killed alone, the command
runs unwatched.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
from types import SimpleNamespace
from typing import Any, NamedTuple, Optional

from ebtop.commands.run_command import Command
from ebtop.errors import EbtopError
from ebtop.runtime import privilege
from ebtop.sources.headroom import cgroup_headroom, dies_together

PART = 16
LEAST_BYTES = 12 << 20
"""With less, a watcher and the command's parent are no small part of it."""
TOGETHER_BYTES = 1 << 30
"""With less memory the watcher would be a considerable part of it."""


class Limit(NamedTuple):
    """The consequences of the memory cgroup for a run."""

    tables_bytes: int
    """The kernel memory that BPF may use."""
    unwatched: Optional[str]
    """Why the command is not watched; None where it is."""


def limit() -> Optional[Limit]:
    """None without a limit."""
    left = cgroup_headroom()
    if left is None:
        return None
    # dirty pages of written files count against the limit for a while
    sys.dont_write_bytecode = True
    together = dies_together()
    unwatched = None
    if left.left < (TOGETHER_BYTES if together else LEAST_BYTES):
        why = ", and is killed as a whole" if together else ""
        unwatched = (
            f"the memory cgroup leaves {left.left >> 20} MiB{why}:"
            " the command runs unwatched, without a report"
        )
    return Limit(left.left // PART, unwatched)


def stand_by(command: Command, user: Optional[privilege.User]) -> None:
    """Returns in a new process, which watches. This process becomes the command's small parent, and
    exits with the command."""
    from ebtop.runtime import native

    asked, asks = os.pipe()
    answered, answers = os.pipe()
    try:
        watcher = os.fork()
    except OSError:  # no further process is allowed: continue without the separate parent
        for fd in (asked, asks, answered, answers):
            os.close(fd)
        return
    if watcher:
        os.close(asks)
        os.close(answered)
        if user is not None:
            privilege.become(user)
        native.stand_by(command.pid, watcher, command.go, asked, answers)
    os.close(asked)
    os.close(answers)
    _first_to_go()
    command.leave_to(_Standby(command.pid, asks, answered))


def _first_to_go() -> None:
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


class _Standby:
    """The command's parent, as the watcher knows it."""

    def __init__(self, pid: int, asks: int, answered: int) -> None:
        self._asks, self._answered = asks, answered
        self._poll = select.poll()
        self._poll.register(os.pidfd_open(pid), select.POLLIN)

    def sees_end(self) -> bool:
        return bool(self._poll.poll(0))

    def wait(self) -> tuple[int, Any]:
        from ebtop.runtime.native import ENDED_BYTES, ended

        os.write(self._asks, b"?")
        data = b""
        while len(data) < ENDED_BYTES:
            piece = os.read(self._answered, ENDED_BYTES - len(data))
            if not piece:
                raise EbtopError("the command's parent has gone")
            data += piece
        status, used = ended(data)
        return status, SimpleNamespace(
            ru_utime=used["user_ns"] / 1e9,
            ru_stime=used["kernel_ns"] / 1e9,
            ru_maxrss=used["peak_rss_kib"],
            ru_minflt=used["minor_faults"],
            ru_majflt=used["major_faults"],
            ru_inblock=used["blocks_in"],
            ru_oublock=used["blocks_out"],
            ru_nvcsw=used["voluntary_switches"],
            ru_nivcsw=used["involuntary_switches"],
        )
