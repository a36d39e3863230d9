# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the command lines in /proc/PID/cmdline, read by a thread of its own.

That read takes the lock of the process's address space and may never come back, so whoever draws
never does it. A process can change its command line whenever it runs, so one that has run since it
was read is read once more, as long as the price allows; exec makes what was read before it void.
The arguments that the kernel's exec event brought (a row's text) are not its matter.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Optional

from ebtop.model.layout import COMM_BYTES, EXECED, EXITED, KERNEL, RAN
from ebtop.model.rows import column_view
from ebtop.model.snapshot import Snapshot
from ebtop.sources.host import read_small
from ebtop.sources.procparse import TICK_NS, parse_stat

MOST_BYTES = 4096
_MOST_KNOWN = 16384
_MOST_WAITING = 4096
_MOST_STUCK = 4
_STUCK_AFTER_S = 0.5
_MOST_AGAIN = 64
"""A refresh may reread this many command lines, about 1 ms of work; at most _AGAIN_A_SECOND."""
_AGAIN_A_SECOND = 200
_MOST_TASKS = 64

Key = tuple[int, int]


class _Known:
    """What is known of one process; times are monotonic, in ns."""

    __slots__ = ("comm", "exec_ns", "ran_ns", "read_ns")

    def __init__(self) -> None:
        self.comm: Optional[bytes] = None
        self.read_ns = -1
        """When the last reading began; -1: it never was."""
        self.ran_ns = -1
        """It may have run until then."""
        self.exec_ns = -1
        """The process has executed another program since its command line was read."""

    @property
    def is_void(self) -> bool:
        return self.read_ns <= self.exec_ns

    @property
    def is_old(self) -> bool:
        return self.read_ns <= self.ran_ns


def read_command_line(pid: int, root: str = "/proc") -> Optional[bytes]:
    """The arguments of a process, NUL after each, at most 4 KiB; None when it is gone.

    Once its leader has ended, only its other threads lead to its memory.
    """
    args = _read_whole(f"{root}/{pid}/cmdline")
    if args != b"":
        return args
    try:
        tids = [tid for tid in os.listdir(f"{root}/{pid}/task") if tid != str(pid)]
    except OSError:
        return args
    for tid in tids[:_MOST_TASKS]:
        args = _read_whole(f"{root}/{pid}/task/{tid}/cmdline") or args
        if args:
            break
    return args


def _read_whole(path: str) -> Optional[bytes]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(fd, MOST_BYTES)
    except OSError:
        return None
    finally:
        os.close(fd)


class _Worker:
    """A reading thread; `busy_since` is when its read in hand began."""

    def __init__(self, owner: CommandLines) -> None:
        self.busy_since: float | None = None
        self.job: Key | None = None
        self.thread = threading.Thread(
            target=owner._work, args=(self,), name="cmdline", daemon=True
        )


class CommandLines:
    """Answers from what has been read so far; what is missing is read in the background."""

    def __init__(self, root: str = "/proc") -> None:
        self.lines: dict[Key, bytes] = {}
        """The command lines known so far, by (pid, start_ns): arguments separated by NUL. Read
        only."""
        self._root = root
        self._change = threading.Condition()
        self._known: dict[Key, _Known] = {}
        self._waiting: deque[Key] = deque()
        self._asked: set[Key] = set()
        self._worker: _Worker | None = None
        self._stuck = 0
        self._done = 0
        self._again = _MOST_AGAIN
        self._closed = False

    def absorb(self, snapshot: Snapshot) -> None:
        """Notes which processes ran and which executed a program; called once per refresh."""
        table, active = snapshot.processes, snapshot.system.active
        seconds = snapshot.interval_s
        self._again = min(_MOST_AGAIN, 1 + int(seconds * _AGAIN_A_SECOND))
        pids, starts, flags = (
            column_view(table, name)[:active].tolist() for name in ("pid", "start_ns", "flags")
        )
        at, stride = table.layout.fields["comm"].offset, table.layout.stride
        with self._change:
            for index, key in enumerate(zip(pids, starts)):
                known = self._known.get(key)
                if known is None or not flags[index] & (RAN | EXECED):
                    continue
                known.ran_ns = snapshot.taken_ns
                if flags[index] & EXECED:
                    self.lines.pop(key, None)
                first = at + index * stride
                comm = bytes(table.data[first : first + COMM_BYTES])
                # without the event of an exec its new name tells; what is shown may stay until read
                if flags[index] & EXECED or known.comm not in (None, comm):
                    known.exec_ns = snapshot.taken_ns
                known.comm = comm

    def want(self, keys: Iterable[Key]) -> set[Key]:
        """Requests the command lines that are missing or may have changed; returns their keys.
        Never blocks."""
        first, again = [], []
        for key in keys:
            known = self._known.get(key)
            if known is None or known.is_void:
                first.append(key)
            elif known.is_old:
                again.append((known.read_ns, key))
        # those that were read longest ago come first, so each has its turn
        spent = sorted(again)[: self._again]
        asked = [*first, *(key for _, key in spent)]
        with self._change:
            self._again -= len(spent)
            for key in asked:
                self._ask(key)
        return set(asked)

    def read(self, snapshot: Snapshot, timeout: float = 0.02) -> None:
        """Absorbs it, and reads what its rows need: until all is read or nothing has come for
        `timeout` seconds."""
        self.absorb(snapshot)
        table = snapshot.processes
        columns = (column_view(table, name).tolist() for name in ("pid", "start_ns", "flags"))
        self.wait([(pid, start) for pid, start, flags in zip(*columns)
                   if pid and not flags & (EXITED | KERNEL)], timeout)  # fmt: skip

    def wait(self, keys: Sequence[Key], timeout: float = 0.02) -> None:
        """Requests the command lines of these processes and waits for them, as `read` does."""
        needed = [key for key in keys if self._needs(key)]
        for start in range(0, len(needed), _MOST_WAITING):
            asked = self.want(needed[start : start + _MOST_WAITING])
            if not self.settle(asked, timeout):
                return

    def settle(self, keys: set[Key], timeout: float = 0.02) -> bool:
        """Waits until what was asked for of these is read; False when `timeout` passed idle."""
        with self._change:
            while not self._asked.isdisjoint(keys):
                before = self._done
                self._change.wait(timeout)
                if self._done == before:
                    self._replace_stuck()
                    return False
        return True

    def close(self) -> None:
        """Ends the thread. A thread that is stuck in the kernel is abandoned."""
        with self._change:
            self._closed = True
            self._waiting.clear()
            self._change.notify_all()

    def _needs(self, key: Key) -> bool:
        known = self._known.get(key)
        return known is None or known.is_old or known.is_void

    def _ask(self, key: Key) -> None:
        self._replace_stuck()
        if key in self._asked or len(self._waiting) >= _MOST_WAITING or self._closed:
            return
        if self._worker is None and not self._start_worker():
            return
        self._known.setdefault(key, _Known())
        self._asked.add(key)
        self._waiting.append(key)
        self._change.notify_all()

    def _replace_stuck(self) -> None:
        worker = self._worker
        if worker is None or worker.busy_since is None or worker.job is None:
            return
        if time.monotonic() - worker.busy_since < _STUCK_AFTER_S:
            return
        self._stuck += 1
        self._remember(worker.job, time.monotonic_ns(), None)
        self._worker = None
        if self._waiting:
            self._start_worker()

    def _start_worker(self) -> bool:
        """False when too many are stuck, or the user may have no more threads (ulimit -u)."""
        if self._stuck >= _MOST_STUCK:
            return False
        worker = _Worker(self)
        try:
            worker.thread.start()
        except RuntimeError:
            return False
        self._worker = worker
        return True

    def _work(self, me: _Worker) -> None:
        while True:
            with self._change:
                while not self._waiting and not self._closed:
                    self._change.wait()
                if self._closed or self._worker is not me:
                    return
                me.job = key = self._waiting.popleft()
                me.busy_since = time.monotonic()
            began_ns = time.monotonic_ns()
            args = self._read(*key)
            with self._change:
                if self._worker is not me:
                    self._stuck -= 1
                    return
                me.busy_since = None
                self._remember(key, began_ns, args)

    def _remember(self, key: Key, read_ns: int, args: bytes | None) -> None:
        known = self._known.pop(key, None) or _Known()
        while len(self._known) >= _MOST_KNOWN:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self.lines.pop(oldest, None)
        self._known[key] = known
        known.read_ns = read_ns
        if args is not None and not known.is_void:
            self.lines[key] = args
        self._asked.discard(key)
        self._done += 1
        self._change.notify_all()

    def _read(self, pid: int, start_ns: int) -> bytes | None:
        args = read_command_line(pid, self._root)
        # the pid may be another process by now; its start time tells, to a tick
        stat = parse_stat(read_small(f"{self._root}/{pid}/stat"))
        if args is None or stat is None or stat.start_ns // TICK_NS != start_ns // TICK_NS:
            return None
        return args.rstrip(b"\0")
