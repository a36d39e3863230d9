# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the panel of events: counts and rates by type, what was lost, and the log.

The history comes from `eventlog.py` as values; nothing is remembered here.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Sequence
from dataclasses import replace

from ebtop import units
from ebtop.columns import SHOWN_BYTES, exit_status
from ebtop.eventlog import EventLine, EventTotals
from ebtop.layout import TEXT_CUT, TEXT_UNREAD
from ebtop.snapshot import Snapshot
from ebtop.text import displayable, fit
from ebtop.units import UNKNOWN
from ebtop.views.line import Line, Span, Style
from ebtop.views.losses import LASTING, advice, lost_text
from ebtop.views.panels import title
from ebtop.viewstate import EVENTS, ViewState

_COUNTED = ("fork", "exec", "exit", "open")
"""What the dashboard logs; other events have their own commands."""


def events_panel(
    snapshot: Snapshot,
    state: ViewState,
    height: int,
    log: Sequence[EventLine],
    totals: EventTotals,
) -> tuple[list[Line], ViewState]:
    """The panel in `height` lines, its title first, and the state with its wishes done."""
    top = [(*title(EVENTS, state), *_counts(totals, snapshot, state)), *_lost(snapshot, totals)]
    room = height - len(top)
    state = scrolled(state, len(log), room)
    end = len(log) - state.events_scroll
    shown = log[max(0, end - room) : end] if room > 0 else ()
    return [*top, *(_event_line(event, snapshot, state) for event in shown)], state


def scrolled(state: ViewState, count: int, height: int) -> ViewState:
    """`events_scroll` counts back from the newest; moving up therefore adds."""
    back = state.events_scroll
    if state.focus == EVENTS:
        back -= state.move + state.move_pages * max(1, height - 1)
        state = replace(state, move=0, move_pages=0)
    return replace(state, events_scroll=max(0, min(back, count - height)))


def _counts(totals: EventTotals, snapshot: Snapshot, state: ViewState) -> Line:
    spans: list[Span] = []
    for name in _COUNTED:
        count, rate = totals.counts.get(name), totals.rates.get(name)
        shown = UNKNOWN if count is None else units.count(count)
        spans.append(Span(f"  {name} ", Style.LABEL))
        spans.append(Span(shown if rate is None else f"{shown} ({units.rate(rate)}/s)"))
    if not len(snapshot.events) and totals.counts.get("exec") is None:
        spans.append(Span("  no events from this source", Style.DIM))
    elif "open" in state.probes_off:
        spans.append(Span("  s: log opens", Style.DIM))
    return tuple(spans)


def _lost(snapshot: Snapshot, totals: EventTotals) -> list[Line]:
    """What was lost and why; when the loss lasts, also what helps."""
    cost = snapshot.self_cost
    text = lost_text(cost.lost_total, cost.lost)
    if not text:
        return []
    lines: list[Line] = [(Span("  " + text, Style.BAD),)]
    if totals.losing >= LASTING and advice(cost.lost):
        lines.append((Span("  what helps: ", Style.LABEL), Span(advice(cost.lost), Style.WARNING)))
    return lines


def _event_line(event: EventLine, snapshot: Snapshot, state: ViewState) -> Line:
    clock = time.strftime("%H:%M:%S", time.localtime(event.time))
    name = snapshot.users.get(event.uid)
    user = str(event.uid) if name is None else displayable(name, state.ascii)
    head = f" {clock} {event.type:<4} {event.pid:>7} {fit(user, 9)} "
    if event.type == "open":
        return _open_line(event, head, state)
    comm = displayable(event.comm, state.ascii)
    if event.type == "exec":
        args = displayable(event.text[:SHOWN_BYTES], state.ascii) if event.text else f"[{comm}]"
        return (Span(f"{head}ppid {event.ppid}  {args}"),)
    status = exit_status(event.exit_code)
    signal = event.exit_code & 0x7F
    how = f"signal {signal}" if signal else f"exit {status}"
    lived = units.duration(event.duration_ns)
    style = Style.DIM if status == 0 else Style.WARNING
    return (Span(f"{head}{how} after {lived}  {comm}", style),)


def _open_line(event: EventLine, head: str, state: ViewState) -> Line:
    """The descriptor or the error's name, who, and which file; a cut name says so."""
    failed = event.result < 0
    how = errno.errorcode.get(-event.result, f"error {-event.result}") if failed else None
    shown = f"fd {event.result}" if how is None else how
    path = displayable(event.text[:SHOWN_BYTES], state.ascii)
    if event.marks & TEXT_UNREAD:
        path = "[name not readable]"
    elif event.marks & TEXT_CUT or len(event.text) > SHOWN_BYTES:
        path += " [cut]"
    comm = fit(displayable(event.comm, state.ascii), 15)
    style = Style.WARNING if failed else Style.NORMAL
    return (Span(f"{head}{shown:<8} {comm} {path or '[empty name]'}", style),)
