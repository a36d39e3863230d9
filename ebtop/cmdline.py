# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the command lines in /proc/PID/cmdline, read by a thread of its own.

That read takes the lock of the process's address space and may never come back, so whoever draws
never does it. The arguments that the kernel's exec event brought (a row's text) are not its matter.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple, Optional

from ebtop.host import read_small
from ebtop.layout import EXITED, KERNEL, RAN
from ebtop.procparse import TICK_NS, parse_stat

MOST_BYTES = 4096
_MOST_KNOWN = 16384
_MOST_WAITING = 4096
_MOST_STUCK = 4
_STUCK_AFTER_S = 0.5
_READ_AGAIN_S = 5.0

Key = tuple[int, int]


class _Known(NamedTuple):
    comm: bytes
    read_at: float
    args: Optional[bytes]


class _Worker:
    """A reading thread; `busy_since` is when its read in hand began."""

    def __init__(self, owner: CommandLines) -> None:
        self.busy_since: float | None = None
        self.job: tuple[Key, bytes] | None = None
        self.thread = threading.Thread(
            target=owner._work, args=(self,), name="cmdline", daemon=True
        )


class CommandLines:
    """Answers from what has been read so far; what is missing is read in the background."""

    def __init__(self, root: str = "/proc") -> None:
        self.lines: dict[Key, bytes] = {}
        """All that is known now, by (pid, start_ns): what the views look into. Read only."""
        self._root = root
        self._change = threading.Condition()
        self._known: dict[Key, _Known] = {}
        self._waiting: deque[tuple[Key, bytes]] = deque()
        self._asked: set[Key] = set()
        self._worker: _Worker | None = None
        self._stuck = 0
        self._done = 0
        self._closed = False

    def get(self, row: dict[str, Any]) -> bytes | None:
        """Its arguments, NUL between them, at most 4 KiB; None as long as unknown. Never blocks.

        A kernel thread has none: b"". The dead cannot be asked: None unless read while it lived.
        """
        if row["flags"] & KERNEL:
            return b""
        key = (row["pid"], row["start_ns"])
        known = self._known.get(key)
        if not row["flags"] & EXITED and self._is_old(known, row):
            with self._change:
                self._ask(key, row["comm"])
        return known.args if known else None

    def want(self, keys: Iterable[Key]) -> None:
        """Has the command lines of these read, or read again after a while. Never blocks."""
        now = time.monotonic()
        for key in keys:
            known = self._known.get(key)
            if known is None or now - known.read_at > _READ_AGAIN_S:
                with self._change:
                    self._ask(key, known.comm if known else b"")

    def wait(self, rows: Iterable[dict[str, Any]], timeout: float = 0.02) -> None:
        """Reads what `rows` need, until all is read or nothing has come for `timeout` seconds."""
        left = [row for row in rows if not row["flags"] & (EXITED | KERNEL)]
        for start in range(0, len(left), _MOST_WAITING):
            batch = left[start : start + _MOST_WAITING]
            for row in batch:
                self.get(row)
            if not self.settle({(row["pid"], row["start_ns"]) for row in batch}, timeout):
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
        """Lets the thread end; one that is stuck in the kernel is left to it."""
        with self._change:
            self._closed = True
            self._waiting.clear()
            self._change.notify_all()

    @staticmethod
    def _is_old(known: _Known | None, row: dict[str, Any]) -> bool:
        if known is None or known.comm != row["comm"]:
            return True
        # an exec that keeps the name leaves no other trace here, but it has to run for it
        return bool(row["flags"] & RAN) and time.monotonic() - known.read_at > _READ_AGAIN_S

    def _ask(self, key: Key, comm: bytes) -> None:
        self._replace_stuck()
        if key in self._asked or len(self._waiting) >= _MOST_WAITING or self._closed:
            return
        if self._worker is None and not self._start_worker():
            return
        self._asked.add(key)
        self._waiting.append((key, comm))
        self._change.notify_all()

    def _replace_stuck(self) -> None:
        worker = self._worker
        if worker is None or worker.busy_since is None or worker.job is None:
            return
        if time.monotonic() - worker.busy_since < _STUCK_AFTER_S:
            return
        self._stuck += 1
        self._remember(*worker.job, None)
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
                me.job = self._waiting.popleft()
                me.busy_since = time.monotonic()
            (pid, start_ns), comm = me.job
            args = self._read(pid, start_ns)
            with self._change:
                if self._worker is not me:
                    self._stuck -= 1
                    return
                me.busy_since = None
                self._remember((pid, start_ns), comm, args)

    def _remember(self, key: Key, comm: bytes, args: bytes | None) -> None:
        self._known.pop(key, None)
        while len(self._known) >= _MOST_KNOWN:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self.lines.pop(oldest, None)
        self._known[key] = _Known(comm, time.monotonic(), args)
        if args is not None:
            self.lines[key] = args
        self._asked.discard(key)
        self._done += 1
        self._change.notify_all()

    def _read(self, pid: int, start_ns: int) -> bytes | None:
        try:
            fd = os.open(f"{self._root}/{pid}/cmdline", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            args = os.read(fd, MOST_BYTES)
        except OSError:
            return None
        finally:
            os.close(fd)
        # the pid may be another process by now; its start time tells, to a tick
        stat = parse_stat(read_small(f"{self._root}/{pid}/stat"))
        if stat is None or stat.start_ns // TICK_NS != start_ns // TICK_NS:
            return None
        return args.rstrip(b"\0")
