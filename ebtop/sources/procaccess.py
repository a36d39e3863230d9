# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what of /proc only those may read who may trace a process: the bytes that it had from disks
and gave to them, and the system call that it is in.

Root may, but ebtop is root no more once it counts. So root's ebtop starts a reader before that: a
process that holds the two capabilities it takes, has nothing open but two pipes, is given numbers
of tasks, and answers with three numbers for each. It says nothing of addresses or arguments.
"""

from __future__ import annotations

import os
import select
import signal
import struct
from collections.abc import Sequence
from typing import NamedTuple, Optional, Protocol

from ebtop.runtime import privilege
from ebtop.sources.host import count_in, read_small
from ebtop.sources.procparse import parse_io, parse_syscall

Task = tuple[int, int]
"""(pid, tid of one of its threads), or (pid, 0): of all of them."""

_BATCH = 1024
"""So many questions and answers fit into pipes at once, so that neither side waits for room."""
_QUESTION, _ANSWER = struct.Struct("=2I"), struct.Struct("=3Q")
_UNKNOWN = (1 << 64) - 1
_PATIENCE_S = 2.0
"""A task that changes its program holds up who asks about it; usually for no time at all."""
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP,
            signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)  # fmt: skip


class Access(NamedTuple):
    """What was found out of one task; None and 0 where it may not be known."""

    read_bytes: Optional[int]
    write_bytes: Optional[int]
    call: int
    """1 + the number of its system call, as in a row; 0: none, or not known."""


NOTHING = Access(None, None, 0)


class Reader(Protocol):
    """Who may ask the kernel."""

    def read(self, tasks: Sequence[Task]) -> list[Access]: ...

    def close(self) -> None: ...


class OwnReader:
    """This process asks: of its user's own processes it is told."""

    def __init__(self, root: str = "/proc") -> None:
        self._root = root

    def read(self, tasks: Sequence[Task]) -> list[Access]:
        return [_read(self._root, pid, tid) for pid, tid in tasks]

    def close(self) -> None:
        """Nothing is held."""


class PrivilegedReader:
    """A process of its own asks, which keeps the capabilities for that and nothing else.

    It ends when this one closes its pipe, or dies. Where it does not answer, all is unknown.
    """

    def __init__(self) -> None:
        questions, self._ask = os.pipe()
        self._told, answers = os.pipe()
        try:
            self.pid = os.fork()
        except OSError:
            for fd in (questions, answers, self._ask, self._told):
                os.close(fd)
            raise
        if self.pid == 0:
            _serve(questions, answers)
        os.close(questions)
        os.close(answers)
        self._works = True
        count_in(self.pid)

    def read(self, tasks: Sequence[Task]) -> list[Access]:
        found: list[Access] = []
        for first in range(0, len(tasks), _BATCH):
            found += self._batch(tasks[first : first + _BATCH])
        return found

    def _batch(self, tasks: Sequence[Task]) -> list[Access]:
        data = None
        if self._works:
            try:
                os.write(self._ask, b"".join(_QUESTION.pack(*task) for task in tasks))
                data = self._answers(len(tasks) * _ANSWER.size)
            except OSError:
                data = None
        if data is None:
            self._works = False
            return [NOTHING] * len(tasks)
        return [_access(*answer) for answer in _ANSWER.iter_unpack(data)]

    def _answers(self, count: int) -> Optional[bytes]:
        """All of them; None when it is gone or stuck."""
        data = b""
        while len(data) < count:
            ready, _, _ = select.select([self._told], [], [], _PATIENCE_S)
            more = os.read(self._told, count - len(data)) if ready else b""
            if not more:
                return None
            data += more
        return data

    def close(self) -> None:
        if self._ask < 0:
            return
        os.close(self._ask)
        os.close(self._told)
        self._ask = self._told = -1
        if self._works:  # one that is stuck is not waited for
            os.waitpid(self.pid, 0)


def reader() -> Reader:
    """The best there is: to be asked for while this process still has its privileges."""
    if os.geteuid() == 0:
        try:
            return PrivilegedReader()
        except OSError:
            pass
    return OwnReader()


def _read(root: str, pid: int, tid: int) -> Access:
    folder = f"{root}/{pid}/task/{tid}" if tid else f"{root}/{pid}"
    read_bytes, write_bytes = parse_io(read_small(folder + "/io"))
    return Access(read_bytes, write_bytes, parse_syscall(read_small(folder + "/syscall")))


def _access(read_bytes: int, write_bytes: int, call: int) -> Access:
    known = read_bytes != _UNKNOWN
    return Access(read_bytes if known else None, write_bytes if known else None, call)


# ---- the process that may ----


def _serve(questions: int, answers: int) -> None:
    """Never comes back."""
    try:
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        os.dup2(questions, 0)
        os.dup2(answers, 1)
        os.closerange(2, os.sysconf("SC_OPEN_MAX"))
        privilege.become_reader()
        while True:
            data = os.read(0, _BATCH * _QUESTION.size)
            if not data:
                break
            os.write(1, b"".join(_answer(*task) for task in _QUESTION.iter_unpack(data)))
    finally:
        os._exit(0)


def _answer(pid: int, tid: int) -> bytes:
    found = _read("/proc", pid, tid)
    if found.read_bytes is None or found.write_bytes is None:
        return _ANSWER.pack(_UNKNOWN, _UNKNOWN, found.call)
    return _ANSWER.pack(*found)
