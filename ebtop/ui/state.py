# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the ViewState: all that the user chose or typed, frozen. Actions make a new one.

It holds no data of the machine and draws nothing. A movement is stored as a request (`move`,
`move_pages`, `search_step`); `views.frame.render` knows the rows, carries it out, and returns the
new state.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from ebtop.control.pace import Pace
from ebtop.model.filters import RowFilter
from ebtop.model.layout import WINDOWS
from ebtop.model.process_table import by_name
from ebtop.model.rows import Identity, RowQuery
from ebtop.model.snapshot import Request
from ebtop.options.options import Options
from ebtop.options.targets import row_filter
from ebtop.probes import LOG_NAMES, PROBES, SWITCHABLE

PROCESSES, SYSCALLS, CONNECTIONS, EVENTS, DISKS = (1, 2, 3, 4, 5)
TO_THE_END = 1 << 30
"""A `move` that reaches the last row; negated, the first."""


@dataclass(frozen=True)
class ViewState:
    """All that decides, together with a Snapshot, what the screen shows."""

    focus: int = PROCESSES
    sort: str = "cpu"
    reverse: bool = False
    """Smallest first; without it every column sorts largest first."""
    filter: RowFilter = field(default_factory=RowFilter)
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
    probes_off: frozenset[str] = frozenset(
        (*(probe.name for probe in PROBES if probe.off_at_first), *LOG_NAMES)
    )
    """Those on demand that do not run even where they are shown."""
    looked_at: tuple[int, int] | None = None
    """(pid, start_ns) of the selected process, whose detail view replaces the panels."""
    looked_at_memory: bool = False
    """The detail view shows its memory instead of its time."""
    probes_open: bool = False
    """The menu of probes lies over the panels."""
    probes_at: int = 0
    """Index of the selected entry of the menu of probes."""
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

    @property
    def query(self) -> RowQuery:
        """The query for the rows that the view shows."""
        return RowQuery(by_name(self.sort), self.reverse, self.filter, self.tree, self.threads)

    @property
    def request(self) -> Request:
        """The request for the data that the view needs."""
        return Request(self.threads, self.cumulative, self.window)

    def with_(self, **changes: object) -> ViewState:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def initial_state(options: Options, ascii: bool, color: bool) -> ViewState:
    """The state that the command line asks for; `ascii` and `color` describe the terminal."""
    delay = options.delay_s
    wanted = options.probes or [probe.name for probe in PROBES if not probe.off_at_first]
    return ViewState(
        sort=options.sort,
        reverse=options.ascending,
        filter=row_filter(options),
        pace=Pace(delay, delay, options.min_delay_s, options.max_delay_s),
        cumulative=options.cumulative,
        threads=options.threads,
        tree=options.tree,
        probes_off=frozenset(SWITCHABLE).difference(wanted),
        ascii=options.ascii or ascii,
        color=color,
    )
