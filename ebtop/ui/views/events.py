# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the panel of events: counts and rates by type, what was lost, and the log.

The history comes from `model/eventlog.py` as values; nothing is remembered here.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Sequence
from dataclasses import replace

from ebtop import units
from ebtop.model.connection_table import close_reason, counted, place
from ebtop.model.eventlog import EventLine, EventTotals
from ebtop.model.layout import CONNECTION, SIGNAL_IGNORED, SLOW, TEXT_CUT, TEXT_UNREAD
from ebtop.model.process_table import SHOWN_BYTES, exit_status
from ebtop.model.slowlines import text_slow
from ebtop.model.snapshot import Snapshot
from ebtop.outputs.eventlines import signal_name
from ebtop.probes import OPEN
from ebtop.text import displayable, fit
from ebtop.ui.state import EVENTS, ViewState
from ebtop.ui.views.line import Line, Span, Style
from ebtop.ui.views.losses import LASTING, advice, lost_text
from ebtop.ui.views.missing import SWITCHED_OFF, why_missing
from ebtop.ui.views.panels import title
from ebtop.units import UNKNOWN

_COUNTED = ("fork", "exec", "exit", "open", "signal", "oom", "mem", "slow")
"""The types of events whose number is in the title of the panel, where known."""
_SOMETIMES = ("signal", "oom", "mem", "slow")
"""The types that are left out of the title while their number is unknown."""


_NO_UID = (1 << 32) - 1


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
        if count is None and name in _SOMETIMES:
            continue
        shown = UNKNOWN if count is None else units.count(count)
        spans.append(Span(f"  {name} ", Style.LABEL))
        spans.append(Span(shown if rate is None else f"{shown} ({units.rate(rate)}/s)"))
    if not len(snapshot.events) and totals.counts.get("exec") is None:
        spans.append(Span("  no events from this source", Style.DIM))
    else:
        why = why_missing(OPEN, snapshot, state)
        said = "  s: log more" if why == SWITCHED_OFF else f"  opens {why}"
        spans += [Span(said, Style.DIM)] if why else []
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
    clock += f".{int(event.time % 1 * 1000):03d}"
    name = snapshot.users.get(event.uid)
    user = UNKNOWN if event.uid == _NO_UID else str(event.uid)
    if name is not None:
        user = fit(displayable(name, state.ascii), 9)
    pid = f"{event.pid:>7}" if event.pid else f"{UNKNOWN:>7}"
    head = f" {clock} {event.type:<6} {pid} {(user if event.pid else UNKNOWN).ljust(9)} "
    if event.type in _LINES:
        return _LINES[event.type](event, head, state)
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


def _signal_line(event: EventLine, head: str, state: ViewState) -> Line:
    """Sender and target; a signal without effect is dim."""
    sender = displayable(event.comm, state.ascii) if event.pid else "kernel"
    ignored = bool(event.marks & SIGNAL_IGNORED)
    target = f"{event.target} {displayable(event.text, state.ascii)}"
    text = f"{head}{signal_name(event.result)} from {sender} to {target}"
    text += " (ignored)" if ignored else ""
    return (Span(text, Style.DIM if ignored else Style.NORMAL),)


def _oom_line(event: EventLine, head: str, state: ViewState) -> Line:
    victim = displayable(event.text, state.ascii) or "?"
    held = UNKNOWN if event.result < 0 else units.size(event.result)
    by = displayable(event.comm, state.ascii)
    text = f"{head}out of memory: killed {event.target} {victim}, which held {held}; {by} asked"
    return (Span(text, Style.BAD),)


def _tcp_line(event: EventLine, head: str, state: ViewState) -> Line:
    """A connection at its end: its life, and why."""
    row = CONNECTION.unpack(event.text, 0) if len(event.text) == CONNECTION.stride else None
    if row is None:
        return (Span(head + UNKNOWN, Style.DIM),)
    how = close_reason(row) or "given up"
    moved = f"{_bytes(counted(row, 'tx_bytes'))} out, {_bytes(counted(row, 'rx_bytes'))} in"
    ends = f"{place(row, 'saddr')} -> {place(row, 'daddr')}"
    comm = fit(displayable(event.comm, state.ascii), 15)
    return (Span(f"{head}{how:<8} {comm} {ends}, {moved}", _ENDS.get(how, Style.DIM)),)


def _bytes(number: int | None) -> str:
    return UNKNOWN if number is None else units.size(number)


def _mem_line(event: EventLine, head: str, state: ViewState) -> Line:
    comm = fit(displayable(event.comm, state.ascii), 15)
    moved = f"+{units.size(event.allocated_bytes)} -{units.size(event.freed_bytes)}"
    return (Span(f"{head}{moved:<8} {comm}"),)


def _slow_line(event: EventLine, head: str, state: ViewState) -> Line:
    """What took long, and how long, on which file or connection."""
    comm = fit(displayable(event.comm, state.ascii), 15)
    if len(event.text) != SLOW.stride:
        return (Span(f"{head}{comm} {units.duration(event.duration_ns)}", Style.WARNING),)
    whole = {"text": 0, "text_bytes": len(event.text)}
    said = text_slow(whole, event.text, state.ascii).partition(" ")[2]  # after `slow`
    return (Span(f"{head}{comm} {said}", Style.WARNING),)


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


_LINES = {"open": _open_line, "signal": _signal_line, "oom": _oom_line, "tcp": _tcp_line,
          "mem": _mem_line, "slow": _slow_line}  # fmt: skip
_ENDS = {"reset": Style.WARNING, "timeout": Style.WARNING, "refused": Style.WARNING,
         "unreachable": Style.WARNING}  # fmt: skip
