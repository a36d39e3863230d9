# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the frame: how the panels share the screen, from a Snapshot and a ViewState alone.

What is inside a panel belongs to the view of that name. Nothing here touches a terminal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Optional, Sequence, Tuple

from ebtop.eventlog import EventLine, EventTotals
from ebtop.snapshot import Snapshot
from ebtop.views.line import Line, fit_line, line, line_text
from ebtop.viewstate import ViewState

MIN_WIDTH, MIN_HEIGHT = 40, 10

Cmdlines = Mapping[Tuple[int, int], bytes]


@dataclass(frozen=True)
class Frame:
    """A whole screen. `lines` are exactly as many as the height, each exactly the width."""

    lines: Tuple[Line, ...]
    cursor_row: Optional[int]
    """The line of the selected row, or of the prompt when one is open."""
    state: ViewState
    """The state with wishes carried out and selection and scrolling corrected."""
    visible: Tuple[Tuple[int, int], ...] = ()
    """(pid, start_ns) of the processes shown: whose command lines are worth reading."""


def render(
    snapshot: Snapshot,
    state: ViewState,
    width: int,
    height: int,
    log: Sequence[EventLine] = (),
    totals: EventTotals = EventTotals(),
    cmdlines: Optional[Cmdlines] = None,
) -> Frame:
    """The frame of this size."""
    lines = [line(f"ebtop {snapshot.source}")] * height
    return Frame(tuple(fit_line(text, width) for text in lines), None, state)


def frame_text(frame: Frame) -> str:
    """The frame as plain text: trailing blanks are cut, every line ends in a newline."""
    return "".join(line_text(spans).rstrip() + "\n" for spans in frame.lines)
