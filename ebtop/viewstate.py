# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the ViewState: all that the user chose or typed, frozen. Actions make a new one.

It holds no data of the machine, and nothing here draws. A movement is stored as a wish (`move`,
`move_pages`, `search_step`); `views.frame.render` knows the rows, carries it out and gives back a
state in which it is done.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from ebtop.errors import UsageError
from ebtop.probes import PROBES

Identity = tuple[int, int, int]
"""(pid, start_ns, tid): a reused pid is somebody else."""

PROCESSES, SYSCALLS, CONNECTIONS, EVENTS, DISKS = (1, 2, 3, 4, 5)
WINDOWS = ("interval", "ten_seconds", "reset")
"""What the table of system calls can cover."""
TO_THE_END = 1 << 30
"""A `move` that reaches the last row; negated, the first."""

FILTER_HELP = "PID[,PID] user=NAME name=TEXT port=N thread=TEXT"


@dataclass(frozen=True)
class Filter:
    """Which rows are shown; an empty one shows all. All that is given must hold."""

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
    def parse(cls, text: str) -> Filter:
        """What was typed at the prompt: numbers are pids, plain words a part of the name."""
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


@dataclass(frozen=True)
class Pace:
    """The refresh interval in force, the bounds it moves in, and why it is what it is."""

    interval_s: float = 1.0
    base_s: float = 1.0
    min_s: float = 0.1
    max_s: float = 10.0
    reason: str = ""


@dataclass(frozen=True)
class ViewState:
    """All that decides, together with a Snapshot, what the screen shows."""

    focus: int = PROCESSES
    sort: str = "cpu"
    reverse: bool = False
    """Smallest first; without it every column sorts largest first."""
    filter: Filter = field(default_factory=Filter)
    search: str = ""
    paused: bool = False
    pace: Pace = field(default_factory=Pace)
    cumulative: bool = False
    threads: bool = False
    tree: bool = False
    column_set: int = 0
    zoom: bool = False
    help_open: bool = False
    help_scroll: int = 0
    selected: Identity | None = None
    """None until the user moves: then no row is looked for, which costs nothing."""
    scroll: int = 0
    """Index of the first row shown."""
    cursor: int = 0
    """Index of the selected row in the frame before; where to go when its process is gone."""
    events_scroll: int = 0
    """Lines back from the newest event; 0 follows the log."""
    syscall_sort: str = "total"
    syscall_reverse: bool = False
    syscall_selected: tuple[int, int] | None = None
    """(number, compat); None until the user moves: then the first row's histogram is shown."""
    syscall_scroll: int = 0
    disks_scroll: int = 0
    connection_sort: str = "tx"
    connection_reverse: bool = False
    connection_selected: tuple[int, int] | None = None
    """(socket, start_ns); None until the user moves."""
    connection_scroll: int = 0
    port_names: bool = False
    """Well-known ports by their names."""
    window: str = WINDOWS[0]
    probes_off: frozenset[str] = frozenset(probe.name for probe in PROBES if probe.off_at_first)
    """Those on demand that do not run even where they are shown."""
    looked_at: tuple[int, int] | None = None
    """(pid, start_ns) of the process that is shown by itself, in place of the panels."""
    looked_at_memory: bool = False
    """It is its memory that is shown, not its time."""
    probes_open: bool = False
    """The menu of probes lies over the panels."""
    probes_at: int = 0
    """Index of the selected one of those on demand."""
    move: int = 0
    """Wish: rows down (negative: up) in the focused panel."""
    move_pages: int = 0
    shift: int = 0
    """Cells by which the last column is scrolled to the left."""
    search_step: int = 0
    """Wish: 1 finds the next match of `search`, -1 the one before."""
    tagged: frozenset[Identity] = frozenset()
    prompt: tuple[str, str] | None = None
    """(kind, text typed so far), as ("filter", "user=root")."""
    message: tuple[str, bool] | None = None
    """(text, is an error)."""
    ascii: bool = False
    color: bool = True

    def with_(self, **changes: object) -> ViewState:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]
