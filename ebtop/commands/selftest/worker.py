# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the process that does the known work: how it is made, told what to do, and ended.

It is forked before BPF is opened, becomes the same user as ebtop, and holds no terminal: its
standard descriptors are /dev/null. It exits with its parent, whose death closes its pipe.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import time
from typing import Any

from ebtop.commands.selftest.work import Facts, explained, works
from ebtop.errors import EbtopError
from ebtop.runtime import privilege

_ANSWER_S = 30.0
_MOST_BYTES = 65536


class Worker:
    """Not thread-safe; a context manager."""

    def __init__(self, directory: str) -> None:
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self._orders)
                os.close(self._answers)
                _serve(directory, orders, answers)
            finally:
                os._exit(1)
        os.close(orders)
        os.close(answers)

    def __enter__(self) -> Worker:
        return self

    def kill(self) -> None:
        """In the middle of its work."""
        os.kill(self.pid, signal.SIGKILL)

    def __exit__(self, *_: object) -> None:
        os.close(self._orders)
        if self._orders_ended():
            return
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def _orders_ended(self) -> bool:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                return True
            time.sleep(0.01)
        return False

    def begin(self, work: str) -> None:
        os.write(self._orders, work.encode("ascii") + b"\n")

    def facts(self, drain: Any) -> Facts:
        """Waits for the result of the work; `drain` is called meanwhile.

        Raises EbtopError with the reason when it could not be done here.
        """
        poller = select.poll()
        poller.register(self._answers, select.POLLIN)
        end = time.monotonic() + _ANSWER_S
        while not poller.poll(50):
            drain()
            if time.monotonic() > end:
                raise EbtopError("the work did not end")
        answer = os.read(self._answers, _MOST_BYTES)
        if not answer:
            raise EbtopError("the process that does the work has ended")
        told: dict[str, Any] = json.loads(answer)
        if "cannot" in told:
            raise EbtopError(told["cannot"])
        self._until_asleep()
        return told

    def _until_asleep(self) -> None:
        """Its numbers stand still: it waits for the next order."""
        end = time.monotonic() + 1
        while time.monotonic() < end:
            with open(f"/proc/{self.pid}/stat", "rb") as file:
                if file.read().rpartition(b")")[2].split()[0] == b"S":
                    break
            time.sleep(0.002)
        time.sleep(0.02)  # the state is set a moment before the last switch away


def _serve(directory: str, orders: int, answers: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    known = works(directory)
    _become_harmless()
    gc.disable()  # a garbage collection would be work that was not ordered
    with os.fdopen(orders, "rb", buffering=0) as told:
        while True:
            word = _line(told.fileno())
            if not word:
                os._exit(0)
            began = time.monotonic_ns()
            try:
                facts = known[word]()
            except OSError as error:
                answer: dict[str, Any] = {"cannot": explained(error)}
            else:
                answer = {**facts, "work_ns": time.monotonic_ns() - began}
            os.write(answers, json.dumps(answer).encode("ascii"))


def _line(fd: int) -> str:
    """Reads one order. Orders come one at a time, each short enough for an atomic pipe write."""
    return "".join(map(chr, os.read(fd, 100))).strip()


def _become_harmless() -> None:
    # what sockets look names up with: the new user may not be able to read it
    import encodings.idna  # noqa: F401

    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)
    if os.geteuid() == 0:
        user = privilege.invoker(os.environ)
        if privilege.obstacle(user) is None:
            privilege.become(user)
