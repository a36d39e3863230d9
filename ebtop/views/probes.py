# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the menu of probes: what runs, what does not and why, and which can be switched.

It only shows; what Space does is in `actions.py`, what runs is decided by `views/frame.py`.
"""

from __future__ import annotations

from ebtop.probes import BY_NAME, ON_DEMAND
from ebtop.snapshot import ProbeStatus, Snapshot
from ebtop.text import displayable, fit
from ebtop.views.line import Line, Span, Style
from ebtop.viewstate import ViewState

_STYLES = {"on": Style.GOOD, "off": Style.DIM}


def probes_menu(snapshot: Snapshot, state: ViewState, height: int) -> list[Line]:
    """The menu, its title first."""
    by_name = {probe.name: probe for probe in snapshot.probes}
    lines: list[Line] = [
        (Span("Probes: Space switches, Esc closes", Style.TITLE_FOCUSED),),
        (),
    ]
    for index, name in enumerate(ON_DEMAND):
        lines.append(_choice(name, by_name.get(name), index == state.probes_at, state))
        lines.append((Span(f"       {BY_NAME[name].menu}", Style.DIM),))
    lines += [(), (Span("The others run all the time", Style.TITLE),)]
    for probe in snapshot.probes:
        if probe.name not in ON_DEMAND:
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
