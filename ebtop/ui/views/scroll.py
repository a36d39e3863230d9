# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns selection and scrolling: carries out the wishes in a ViewState on an order of rows.

It draws nothing. No row is searched for until the user has selected one.
"""

from __future__ import annotations

from dataclasses import replace

from ebtop.model.rows import Order, column_view, identity_of, name_at
from ebtop.text import raw_bytes
from ebtop.ui.state import CONNECTIONS, EVENTS, PROCESSES, SYSCALLS, ViewState


def place(
    order: Order, state: ViewState, height: int, owners: frozenset[int] | None = None
) -> ViewState:
    """The state in which the selection exists and is in sight, `height` rows being shown.

    `owners` are the pids that a search for a port finds, if it is one.
    """
    count = len(order)
    at = _selected(order, state)
    step = state.move + state.move_pages * max(1, height - 1)
    if state.focus not in (SYSCALLS, CONNECTIONS, EVENTS):  # these move in their own panel
        state = replace(state, move=0, move_pages=0)
    if not count:
        return replace(state, selected=None, scroll=0, cursor=0, search_step=0)
    if state.search_step and state.search:
        at = _search(order, state, at, owners)
    elif step and state.focus == PROCESSES:
        at = _moved(at, step, state.scroll, count)
    scroll = state.scroll
    if at is not None:
        scroll = min(max(scroll, at - height + 1), at)
    scroll = max(0, min(scroll, count - height))
    if at is None:
        return replace(state, selected=None, scroll=scroll, cursor=scroll, search_step=0)
    chosen = identity_of(order.table, order.window(at, 1)[0])
    return replace(state, selected=chosen, scroll=scroll, cursor=at, search_step=0)


def _selected(order: Order, state: ViewState) -> int | None:
    if state.selected is None or not len(order):
        return None
    at = order.position(state.selected)
    return min(state.cursor, len(order) - 1) if at is None else at


def _moved(at: int | None, step: int, scroll: int, count: int) -> int:
    if at is None:  # the first press selects what is in sight
        at = scroll - 1 if step > 0 else scroll
    return max(0, min(at + step, count - 1))


def _search(
    order: Order, state: ViewState, at: int | None, owners: frozenset[int] | None
) -> int | None:
    """The next row whose name contains the text, wrapping around; else the current one."""
    part = raw_bytes(state.search).lower()
    rows = order.window(0, len(order))
    pids = column_view(order.table, "pid")
    start = (state.scroll - 1 if at is None else at) if state.search_step > 0 else (at or 0)
    for distance in range(1, len(rows) + 1):
        candidate = (start + distance * state.search_step) % len(rows)
        row = rows[candidate]
        if owners is not None and pids[row] in owners:
            return candidate
        if owners is None and part in name_at(order.table, row, order.text).lower():
            return candidate
    return at
