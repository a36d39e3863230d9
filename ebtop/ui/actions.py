# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what each action does to the view: (ViewState, Action) -> ViewState, pure.

Actions that reach outside the view (quit, redraw, reset) change nothing here. Movement
becomes a wish that the frame carries out, because only the frame knows the rows.
"""

from __future__ import annotations

from typing import Callable, Optional

from ebtop.control import pace
from ebtop.errors import UsageError
from ebtop.model.connection_table import BY_NAME as CONNECTION_COLUMNS
from ebtop.model.filters import RowFilter
from ebtop.model.layout import WINDOWS
from ebtop.model.process_table import BY_NAME, SETS
from ebtop.model.snapshot import Snapshot
from ebtop.model.syscall_table import BY_NAME as SYSCALL_COLUMNS
from ebtop.probes import SWITCHABLE
from ebtop.ui.keys import Action
from ebtop.ui.state import (
    CONNECTIONS,
    DISKS,
    EVENTS,
    PROCESSES,
    SYSCALLS,
    TO_THE_END,
    ViewState,
)

PACES_S = (0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)
PROMPT_LENGTH = 256
SHIFT_CELLS = 8


def apply(state: ViewState, action: Action) -> ViewState:
    """The view after `action`. The message of the previous action disappears."""
    state = state.with_(message=None)
    if state.probes_open and action in _IN_PROBES:
        return _IN_PROBES[action](state)
    if action in _CHANGES:
        return _CHANGES[action](state)
    if action is Action.GO_BACK:
        return _go_back(state)
    return state


def type_key(state: ViewState, key: str) -> ViewState:
    """The open prompt after one more key, neither Enter nor Esc."""
    if state.prompt is None:
        return state
    kind, text = state.prompt
    if key in ("KEY_BACKSPACE", "\x7f", "\b"):
        text = text[:-1]
    elif key == "\x15":  # ^U
        text = ""
    elif key == "\x17":  # ^W
        text = text.rstrip().rpartition(" ")[0]
    elif len(key) == 1 and key.isprintable():
        text = (text + key)[:PROMPT_LENGTH]
    return state.with_(prompt=(kind, text), message=None)


def accept_prompt(state: ViewState, snapshot: Snapshot) -> ViewState:
    """Enter at the prompt. Text that cannot be parsed leaves the prompt open with a message."""
    if state.prompt is None:
        return state
    kind, text = state.prompt
    done = state.with_(prompt=None, message=None)
    if kind == "search":
        return done.with_(search=text, search_step=1 if text else 0)
    if kind != "filter":
        return done
    try:
        wanted = RowFilter.parse(text)
    except UsageError as error:
        return state.with_(message=(str(error), True))
    return done.with_(
        filter=wanted, scroll=0, cursor=0, selected=None, message=_complaint(wanted, snapshot)
    )


def filter_text(wanted: RowFilter) -> str:
    """What to type to get this filter again."""
    words = [
        ("pid", ",".join(str(pid) for pid in sorted(wanted.pids))),
        ("user", wanted.user or ""),
        ("port", "" if wanted.port is None else str(wanted.port)),
        ("thread", wanted.thread or ""),
    ]
    # The name goes last and bare: it may have blanks in it.
    return " ".join([f"{key}={value}" for key, value in words if value] + [wanted.comm or ""])


def _complaint(wanted: RowFilter, snapshot: Snapshot) -> Optional[tuple[str, bool]]:
    missing = wanted.pids.difference(snapshot.processes.column("pid")) if wanted.pids else set()
    if missing:
        pids = ", ".join(str(pid) for pid in sorted(missing))
        return (f"there is no process {pids}", True)
    user = wanted.user
    if user is not None and not user.isdecimal() and user not in snapshot.users.values():
        return ("that user has no process", True)
    return None


def _go_back(state: ViewState) -> ViewState:
    """Undoes one step per key press: overlays first, then zoom, search, tags, filter and
    selection."""
    if state.help_open:
        return state.with_(help_open=False, help_scroll=0)
    if state.probes_open:
        return state.with_(probes_open=False)
    if state.looked_at:
        return state.with_(looked_at=None)
    if state.zoom:
        return state.with_(zoom=False)
    if state.search:
        return state.with_(search="", search_step=0)
    if state.tagged:
        return state.with_(tagged=frozenset())
    if state.filter:
        return state.with_(filter=RowFilter())
    return state.with_(
        selected=None, scroll=0, cursor=0, events_scroll=0, shift=0, syscall_selected=None,
        syscall_scroll=0, disks_scroll=0, connection_selected=None,
        connection_scroll=0,
    )  # fmt: skip


def _move(rows: int) -> Callable[[ViewState], ViewState]:
    return lambda state: state.with_(move=state.move + rows)


def _move_pages(pages: int) -> Callable[[ViewState], ViewState]:
    return lambda state: state.with_(move_pages=state.move_pages + pages)


def _shift(cells: int) -> Callable[[ViewState], ViewState]:
    return lambda state: state.with_(shift=max(0, state.shift + cells))


def _focus(panel: int) -> Callable[[ViewState], ViewState]:
    return lambda state: state.with_(
        focus=panel, help_open=False, probes_open=False, looked_at=None
    )


def _sort_by(name: str) -> Callable[[ViewState], ViewState]:
    return lambda state: state.with_(sort=name, reverse=False)


def _toggle(field: str) -> Callable[[ViewState], ViewState]:
    return lambda state: state.with_(**{field: not getattr(state, field)})


def _prompt(kind: str) -> Callable[[ViewState], ViewState]:
    def open_prompt(state: ViewState) -> ViewState:
        text = filter_text(state.filter) if kind == "filter" else ""
        return state.with_(prompt=(kind, text))

    return open_prompt


def _next_match(step: int) -> Callable[[ViewState], ViewState]:
    def find(state: ViewState) -> ViewState:
        if not state.search:
            return state.with_(message=("nothing to search for yet: press /", True))
        return state.with_(search_step=step)

    return find


def _sort_beside(step: int) -> Callable[[ViewState], ViewState]:
    """Walks over the columns of the set in use; from a column of another set, to the first."""

    def sort(state: ViewState) -> ViewState:
        if state.focus == SYSCALLS:
            return _sort_syscalls(state, step)
        if state.focus == CONNECTIONS:
            return _sort_connections(state, step)
        names = [column.name for column in SETS[state.column_set % len(SETS)]]
        at = names.index(state.sort) + step if state.sort in names else 0
        name = names[at % len(names)]
        return state.with_(sort=name, message=(f"sorted by {BY_NAME[name].title}", False))

    return sort


def _sort_syscalls(state: ViewState, step: int) -> ViewState:
    names = list(SYSCALL_COLUMNS)
    name = names[(names.index(state.syscall_sort) + step) % len(names)]
    said = f"system calls sorted by {SYSCALL_COLUMNS[name].phrase}"
    return state.with_(syscall_sort=name, syscall_scroll=0, message=(said, False))


def _sort_connections(state: ViewState, step: int) -> ViewState:
    names = list(CONNECTION_COLUMNS)
    name = names[(names.index(state.connection_sort) + step) % len(names)]
    said = f"connections sorted by {CONNECTION_COLUMNS[name].phrase}"
    return state.with_(connection_sort=name, connection_scroll=0, message=(said, False))


def _reverse(state: ViewState) -> ViewState:
    if state.focus == SYSCALLS:
        return state.with_(syscall_reverse=not state.syscall_reverse)
    if state.focus == CONNECTIONS:
        return state.with_(connection_reverse=not state.connection_reverse)
    return state.with_(reverse=not state.reverse)


def _next_window(state: ViewState) -> ViewState:
    at = WINDOWS.index(state.window) + 1
    return state.with_(window=WINDOWS[at % len(WINDOWS)])


def _move_in_probes(step: int) -> Callable[[ViewState], ViewState]:
    return lambda state: state.with_(probes_at=(state.probes_at + step) % len(SWITCHABLE))


def _switch_probe(state: ViewState) -> ViewState:
    return state.with_(probes_off=state.probes_off ^ {SWITCHABLE[state.probes_at]})


def _look_closer(state: ViewState) -> ViewState:
    if state.looked_at is not None or state.focus != PROCESSES:
        return state
    if state.selected is None:
        return state.with_(message=("go to a row first", True))
    return state.with_(looked_at=state.selected[:2])


def _change_pace(step: int) -> Callable[[ViewState], ViewState]:
    def change(state: ViewState) -> ViewState:
        base_s = state.pace.base_s
        if step < 0:
            wanted = max((s for s in PACES_S if s < base_s), default=PACES_S[0])
        else:
            wanted = min((s for s in PACES_S if s > base_s), default=PACES_S[-1])
        changed = pace.with_base(state.pace, wanted)
        text = f"refresh every {changed.base_s:g} s"
        if changed.base_s != wanted:
            text += ", the bound that was set"
        return state.with_(pace=changed, message=(text, False))

    return change


def _tag(state: ViewState) -> ViewState:
    if state.selected is None:
        return state.with_(message=("go to a row first", True))
    return state.with_(tagged=state.tagged ^ {state.selected}, move=state.move + 1)


def _next_columns(state: ViewState) -> ViewState:
    if state.looked_at is not None:
        return state.with_(looked_at_memory=not state.looked_at_memory)
    return state.with_(column_set=(state.column_set + 1) % len(SETS))


def _pause(state: ViewState) -> ViewState:
    return state.with_(paused=not state.paused)


def _reset(state: ViewState) -> ViewState:
    return state.with_(message=("counters start from 0", False))


_CHANGES: dict[Action, Callable[[ViewState], ViewState]] = {
    Action.RESET: _reset,
    Action.EDIT_FILTER: _prompt("filter"),
    Action.EDIT_SEARCH: _prompt("search"),
    Action.EDIT_FILE: _prompt("file"),
    Action.SEARCH_NEXT: _next_match(1),
    Action.SEARCH_PREVIOUS: _next_match(-1),
    Action.TOGGLE_PAUSE: _pause,
    Action.REFRESH_FASTER: _change_pace(-1),
    Action.REFRESH_SLOWER: _change_pace(1),
    Action.FOCUS_PROCESSES: _focus(PROCESSES),
    Action.FOCUS_SYSCALLS: _focus(SYSCALLS),
    Action.FOCUS_CONNECTIONS: _focus(CONNECTIONS),
    Action.FOCUS_EVENTS: _focus(EVENTS),
    Action.FOCUS_DISKS: _focus(DISKS),
    Action.TOGGLE_HELP: _toggle("help_open"),
    Action.MOVE_UP: _move(-1),
    Action.MOVE_DOWN: _move(1),
    Action.SCROLL_LEFT: _shift(-SHIFT_CELLS),
    Action.SCROLL_RIGHT: _shift(SHIFT_CELLS),
    Action.PAGE_UP: _move_pages(-1),
    Action.PAGE_DOWN: _move_pages(1),
    Action.MOVE_FIRST: _move(-TO_THE_END),
    Action.MOVE_LAST: _move(TO_THE_END),
    Action.SORT_PREVIOUS: _sort_beside(-1),
    Action.SORT_NEXT: _sort_beside(1),
    Action.SORT_CPU: _sort_by("cpu"),
    Action.SORT_MEMORY: _sort_by("rss"),
    Action.SORT_TIME: _sort_by("oncpu"),
    Action.REVERSE_SORT: _reverse,
    Action.TOGGLE_TREE: _toggle("tree"),
    Action.TOGGLE_CUMULATIVE: _toggle("cumulative"),
    Action.TOGGLE_THREADS: _toggle("threads"),
    Action.TOGGLE_ZOOM: _toggle("zoom"),
    Action.NEXT_COLUMNS: _next_columns,
    Action.NEXT_WINDOW: _next_window,
    Action.TOGGLE_PORT_NAMES: _toggle("port_names"),
    Action.TOGGLE_PROBES: _toggle("probes_open"),
    Action.CHOOSE: _look_closer,
    Action.TAG: _tag,
}
_IN_PROBES: dict[Action, Callable[[ViewState], ViewState]] = {
    Action.MOVE_UP: _move_in_probes(-1),
    Action.MOVE_DOWN: _move_in_probes(1),
    Action.CHOOSE: _switch_probe,
    Action.TAG: _switch_probe,
}
