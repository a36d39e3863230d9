# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the menu of probes: what runs, what does not and why, and which can be switched.

It only shows; what Space does is in `ui/actions.py`, what runs is decided by `frame.py`.
"""

from __future__ import annotations

from ebtop.model.snapshot import ProbeStatus, Snapshot
from ebtop.probes import BY_NAME, LOGS, ON_DEMAND, Log
from ebtop.text import displayable, fit
from ebtop.ui.state import ViewState
from ebtop.ui.views.line import Line, Span, Style

_TITLE_LINES = 2
_STYLES = {"on": Style.GOOD, "off": Style.DIM}


def probes_menu(snapshot: Snapshot, state: ViewState, height: int) -> list[Line]:
    """The menu, its title first; of what is too long, the part around the choice."""
    by_name = {probe.name: probe for probe in snapshot.probes}
    lines: list[Line] = [
        (Span("Probes: Space switches, Esc closes", Style.TITLE_FOCUSED),),
        (),
    ]
    for index, name in enumerate(ON_DEMAND):
        lines.append(_choice(name, by_name.get(name), index == state.probes_at, state))
        lines.append((Span(f"       {BY_NAME[name].menu}", Style.DIM),))
    for index, log in enumerate(LOGS, len(ON_DEMAND)):
        lines.append(_log_choice(log, by_name, index == state.probes_at, state))
        lines.append((Span(f"       {log.menu}", Style.DIM),))
    lines += [(), (Span("The others run all the time", Style.TITLE),)]
    for probe in snapshot.probes:
        if probe.name not in ON_DEMAND:
            lines.append((Span("   "), *_state(probe, state)))
    first = max(0, _TITLE_LINES + 2 * (state.probes_at + 1) - height)
    return lines[first : first + height]


def _choice(name: str, probe: ProbeStatus | None, selected: bool, state: ViewState) -> Line:
    head = _head(name, selected, state)
    if probe is None:
        return (head, Span(fit(name, 9)), Span("not of this source", Style.DIM))
    return (head, *_state(probe, state))


def _head(name: str, selected: bool, state: ViewState) -> Span:
    mark = ">" if selected else " "
    box = "[ ]" if name in state.probes_off else "[x]"
    return Span(f"{mark} {box} ", Style.SELECTED if selected else Style.NORMAL)


def _log_choice(log: Log, probes: dict[str, ProbeStatus], selected: bool, state: ViewState) -> Line:
    """A log, and which of the probes that tell it do not run."""
    missing = [name for name in log.needs if name not in probes or probes[name].state != "on"]
    told = f"of the probes {' '.join(log.needs)}"
    if log.name not in state.probes_off and missing:
        told = f"probe not on: {' '.join(missing)}"
    return (_head(log.name, selected, state), Span(fit(log.name, 12), Style.BOLD), Span(told))


def _state(probe: ProbeStatus, state: ViewState) -> Line:
    """Name, state, and where it is attached or why it is not."""
    spans = [Span(fit(displayable(probe.name, state.ascii), 9), Style.BOLD)]
    spans.append(Span(fit(probe.state, 12), _STYLES.get(probe.state, Style.WARNING)))
    told = probe.hook if probe.state == "on" else probe.reason
    if probe.every > 1:
        told = f"one of {probe.every} is timed, all are counted: {told}"
    spans.append(Span(displayable(told or "", state.ascii)))
    return tuple(spans)
