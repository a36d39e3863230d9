# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the beginning and the end of the dashboard: the small parent, and what the child returns.

What is imported here stays in the parent for as long as the dashboard runs, so the rest is
imported in the child.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from ebtop import guard
from ebtop.errors import EbtopError
from ebtop.output import say

if TYPE_CHECKING:
    from ebtop.options import Options
    from ebtop.sources import Source
    from ebtop.viewstate import ViewState


class NoDashboard(Exception):
    """The terminal cannot address its cursor. Nothing was opened or drawn."""


def run(open_source: Callable[[], Source], state: ViewState, options: Options) -> int:
    """The exit status. Raises NoDashboard for a terminal that can only print."""

    def child(lifeline: guard.Lifeline) -> int:
        return _run_here(lifeline, open_source, state, options)

    ending = guard.protect(child)
    if ending.no_screen:
        raise NoDashboard
    return ending.status


def _run_here(
    lifeline: guard.Lifeline,
    open_source: Callable[[], Source],
    state: ViewState,
    options: Options,
) -> int:
    from ebtop.signals import Signals

    signals = Signals()  # before the source: a signal while it opens must find a handler
    from ebtop import screen
    from ebtop.loop import Loop

    try:
        leave = screen.set_up_terminal()
    except screen.NoScreen:
        lifeline.no_screen()
        return 0
    try:
        with open_source() as source:
            begun = Loop.begin(source, state)
            lifeline.entered(leave)
            try:
                with screen.taken(state.color) as window:
                    Loop(source, window, signals, lifeline, state, options.iterations).run(begun)
            finally:
                # also before a traceback: to leave twice would put the cursor back over it
                lifeline.left()
    except EbtopError as error:
        say(str(error))
        return error.status
    return 0
