# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the lower panels: events (counts, rates, the log), and those that have no probe yet.

The history comes from `eventlog.py` as values; nothing is remembered here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from ebtop import units
from ebtop.columns import SHOWN_BYTES, exit_status
from ebtop.eventlog import EventLine, EventTotals
from ebtop.layout import EVENT_TYPES
from ebtop.snapshot import Snapshot
from ebtop.text import displayable, fit
from ebtop.units import UNKNOWN
from ebtop.views.line import Line, Span, Style
from ebtop.viewstate import CONNECTIONS, EVENTS, SYSCALLS, ViewState

_NAMES = {SYSCALLS: "2 System calls", CONNECTIONS: "3 Connections", EVENTS: "4 Events"}
_WITHOUT = {
    SYSCALLS: "no probe for system calls yet in this version",
    CONNECTIONS: "no probe for connections yet in this version",
}


def lower_panel(state: ViewState) -> int:
    """Which panel stands under the processes."""
    return state.focus if state.focus in _NAMES else EVENTS


def panel(
    snapshot: Snapshot,
    state: ViewState,
    height: int,
    log: Sequence[EventLine],
    totals: EventTotals,
) -> tuple[list[Line], ViewState]:
    """The panel in `height` lines, its title first, and the state with its wishes done."""
    which = lower_panel(state)
    if which != EVENTS:
        return [_title(which, state), (Span("  " + _WITHOUT[which], Style.DIM),)][:height], state
    title = (*_title(which, state), *_counts(totals, snapshot))
    state = scrolled(state, len(log), height - 1)
    end = len(log) - state.events_scroll
    shown = log[max(0, end - (height - 1)) : end] if height > 1 else ()
    return [title, *(_event_line(event, snapshot, state) for event in shown)], state


def scrolled(state: ViewState, count: int, height: int) -> ViewState:
    """`events_scroll` counts back from the newest; moving up therefore adds."""
    back = state.events_scroll
    if state.focus == EVENTS:
        back -= state.move + state.move_pages * max(1, height - 1)
        state = replace(state, move=0, move_pages=0)
    return replace(state, events_scroll=max(0, min(back, count - height)))


def _title(which: int, state: ViewState) -> Line:
    focused = state.focus == which
    mark = ">" if focused else " "
    return (Span(mark + _NAMES[which], Style.TITLE_FOCUSED if focused else Style.TITLE),)


def _counts(totals: EventTotals, snapshot: Snapshot) -> Line:
    spans: list[Span] = []
    for name in EVENT_TYPES:
        count, rate = totals.counts.get(name), totals.rates.get(name)
        shown = UNKNOWN if count is None else units.count(count)
        spans.append(Span(f"  {name} ", Style.LABEL))
        spans.append(Span(shown if rate is None else f"{shown} ({units.rate(rate)}/s)"))
    if not len(snapshot.events) and totals.counts.get("exec") is None:
        spans.append(Span("  no events from this source", Style.DIM))
    return tuple(spans)


def _event_line(event: EventLine, snapshot: Snapshot, state: ViewState) -> Line:
    clock = time.strftime("%H:%M:%S", time.localtime(event.time))
    name = snapshot.users.get(event.uid)
    user = str(event.uid) if name is None else displayable(name, state.ascii)
    comm = displayable(event.comm, state.ascii)
    head = f" {clock} {event.type:<4} {event.pid:>7} {fit(user, 9)} "
    if event.type == "exec":
        args = displayable(event.args[:SHOWN_BYTES], state.ascii) if event.args else f"[{comm}]"
        return (Span(f"{head}ppid {event.ppid}  {args}"),)
    status = exit_status(event.exit_code)
    signal = event.exit_code & 0x7F
    how = f"signal {signal}" if signal else f"exit {status}"
    lived = units.duration(event.duration_ns)
    style = Style.DIM if status == 0 else Style.WARNING
    return (Span(f"{head}{how} after {lived}  {comm}", style),)
