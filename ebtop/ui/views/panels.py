# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the panel under the processes: which one it is, and its title.

What is in a panel belongs to the view of that name.
"""

from __future__ import annotations

from ebtop.ui.state import CONNECTIONS, DISKS, EVENTS, SYSCALLS, ViewState
from ebtop.ui.views.line import Line, Span, Style

_NAMES = {
    SYSCALLS: "2 System calls", CONNECTIONS: "3 Connections", EVENTS: "4 Events", DISKS: "5 Disks",
}  # fmt: skip


def lower_panel(state: ViewState) -> int:
    """Which panel stands under the processes."""
    return state.focus if state.focus in _NAMES else EVENTS


def title(which: int, state: ViewState) -> Line:
    """`>` marks the panel that has the keys."""
    focused = state.focus == which
    mark = ">" if focused else " "
    return (Span(mark + _NAMES[which], Style.TITLE_FOCUSED if focused else Style.TITLE),)
