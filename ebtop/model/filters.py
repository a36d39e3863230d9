# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the two filters: of rows that are shown, with the way it is typed, and of events that the
kernel side counts. A row passes both.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Optional

from ebtop.errors import UsageError

FILTER_HELP = "PID[,PID] user=NAME name=TEXT port=N thread=TEXT"


@dataclass(frozen=True)
class RowFilter:
    """Which rows are shown. An empty filter shows all; all conditions that are given must hold."""

    pids: frozenset[int] = frozenset()
    user: str | None = None
    comm: str | None = None
    port: int | None = None
    thread: str | None = None
    """A part of a thread's own name, where rows are threads."""

    def __bool__(self) -> bool:
        return bool(self.pids) or any(
            value is not None for value in (self.user, self.comm, self.port, self.thread)
        )

    @classmethod
    def parse(cls, text: str) -> RowFilter:
        """Parses the text of the prompt: numbers are pids, plain words a part of the name."""
        pids: frozenset[int] = frozenset()
        words = []
        given: dict[str, str] = {}
        for word in text.split():
            key, equals, value = word.partition("=")
            if equals and key in ("pid", "user", "name", "comm", "port", "thread"):
                given["name" if key == "comm" else key] = value
            elif word.replace(",", "").isdecimal():
                pids |= _numbers("pid", word)
            else:
                words.append(word)
        if "pid" in given:
            pids |= _numbers("pid", given["pid"])
        port = min(_numbers("port", given["port"]), default=None) if "port" in given else None
        comm = given.get("name") or " ".join(words) or None
        return cls(pids, given.get("user") or None, comm, port, given.get("thread") or None)


@dataclass(frozen=True)
class KernelFilter:
    """The events that the kernel side counts and reports; filtered events cost least.

    `pid` 0 and `uid` None mean all. `descendants`: also the processes that `pid` starts from now
    on.
    """

    pid: int = 0
    uid: Optional[int] = None
    descendants: bool = False
    min_latency_ns: int = 0
    min_bytes: int = 0
    """Smaller changes of memory are not reported as events."""
    slow_ns: int = 0
    """Operations that took less are not reported as slow."""
    port: int = 0
    """The port at either end of reported connections; 0 is every port."""
    excluded: tuple[int, ...] = ()
    """Pids whose events do not count."""
    calls: tuple[int, ...] = ()
    """Only these system calls, numbered as in syscallnames.selected(); empty: all."""
    start_ns: int = field(default=0, compare=False)
    """The start time of process `pid`, if known: a process that reuses the pid does not match."""

    def __bool__(self) -> bool:
        """Whether it leaves anything out of what is counted: a log's threshold does not."""
        return replace(self, min_bytes=0, slow_ns=0) != EVERYONE

    def is_another(self, pid: int, start_ns: int) -> bool:
        """Whether a process has the filter's pid but is a later process."""
        return bool(self.start_ns and start_ns and pid == self.pid and start_ns != self.start_ns)


EVERYONE = KernelFilter()


def port_of(search: str) -> int | None:
    """The port that a search such as `port=443` is for."""
    key, _, number = search.partition("=")
    if key != "port" or not (number.isascii() and number.isdecimal()):
        return None
    return int(number) if int(number) <= 65535 else None


def _numbers(what: str, text: str) -> frozenset[int]:
    parts = [part for part in text.split(",") if part]
    top = 65535 if what == "port" else 1 << 22
    if not all(part.isdecimal() and part.isascii() and int(part) <= top for part in parts):
        raise UsageError(f"{what}={text}: not a {what}; a filter is {FILTER_HELP}")
    return frozenset(int(part) for part in parts)
