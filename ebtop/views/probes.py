# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the menu of probes: what runs, what does not and why, and which can be switched.

It only shows; what Space does is in `actions.py`, what runs is decided by `views/frame.py`.
"""

from __future__ import annotations

from ebtop.snapshot import ProbeStatus, Snapshot
from ebtop.text import displayable, fit
from ebtop.views.line import Line, Span, Style
from ebtop.viewstate import SWITCHABLE, ViewState

_WHAT_FOR = {
    "syscall": "for panel 2 and the columns of system calls; runs only while they show",
    "open": "for the log of opens in panel 4, and the column OPENS; runs only while they show",
    "block": "for panel 5 and the columns of disks; runs only while they show",
    "vfs": "for the columns of files; runs only while they show",
    "tcp": "for panel 3, the columns of the network and port=N; runs only while they show",
    "mem": "for the columns and the view of memory; runs only while they show",
    "signals": "for signals and OOM kills in panel 4; runs only while it shows",
    "stacks": "why threads wait, where nothing cheaper tells; else that is a guess",
}
_STYLES = {"on": Style.GOOD, "off": Style.DIM}


def probes_menu(snapshot: Snapshot, state: ViewState, height: int) -> list[Line]:
    """The menu, its title first."""
    by_name = {probe.name: probe for probe in snapshot.probes}
    lines: list[Line] = [
        (Span("Probes: Space switches, Esc closes", Style.TITLE_FOCUSED),),
        (),
    ]
    for index, name in enumerate(SWITCHABLE):
        lines.append(_choice(name, by_name.get(name), index == state.probes_at, state))
        lines.append((Span(f"       {_WHAT_FOR[name]}", Style.DIM),))
    lines += [(), (Span("The others run all the time", Style.TITLE),)]
    for probe in snapshot.probes:
        if probe.name not in SWITCHABLE:
            lines.append((Span("   "), *_state(probe, state)))
    return lines[:height]


def _choice(name: str, probe: ProbeStatus | None, selected: bool, state: ViewState) -> Line:
    mark = ">" if selected else " "
    box = "[ ]" if name in state.probes_off else "[x]"
    style = Style.SELECTED if selected else Style.NORMAL
    head = Span(f"{mark} {box} ", style)
    if probe is None:
        return (head, Span(fit(name, 9)), Span("not of this source", Style.DIM))
    return (head, *_state(probe, state))


def _state(probe: ProbeStatus, state: ViewState) -> Line:
    """Name, state, and where it is attached or why it is not."""
    spans = [Span(fit(displayable(probe.name, state.ascii), 9), Style.BOLD)]
    spans.append(Span(fit(probe.state, 12), _STYLES.get(probe.state, Style.WARNING)))
    told = probe.hook if probe.state == "on" else probe.reason
    if probe.every > 1:
        told = f"one of {probe.every} is timed, all are counted: {told}"
    spans.append(Span(displayable(told or "", state.ascii)))
    return tuple(spans)
