# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the beginning and the end of the dashboard: guard, source, screen, and the exit status.

Where little is imported the fork is cheap, so the heavy parts are imported after it.
"""

from __future__ import annotations

import contextlib
import traceback
from typing import TYPE_CHECKING, Callable

from ebtop.errors import EXIT_FAILED, EbtopError
from ebtop.runtime import privilege
from ebtop.runtime.stdio import OutputClosed, locale_is_utf8, say, wants_color, write_all
from ebtop.ui import guard

if TYPE_CHECKING:
    from ebtop.control.choose import Source
    from ebtop.options.options import Options


def _leave_behind(summary: str) -> None:
    """Writes the summary if the terminal still exists; failing to is not an error."""
    with contextlib.suppress(EbtopError, OutputClosed):
        write_all(f"{summary}\n".encode() if summary else b"")


class NoDashboard(Exception):
    """The terminal cannot address its cursor. Nothing was opened or drawn."""


def run(open_source: Callable[[], Source], options: Options) -> int:
    """The exit status. Raises NoDashboard for a terminal that can only print.

    The caller continues in a forked child; the process that the user started is its parent.
    """
    lifeline = guard.go_under_guard()
    from ebtop.runtime.signals import ENDING, OF_TERMINAL, Signals

    # before all else: a signal while the source opens must find a handler
    signals = Signals((*ENDING, *OF_TERMINAL))
    from ebtop.ui import screen

    try:
        leave = screen.set_up_terminal()
    except screen.NoScreen:
        signals.release()
        raise NoDashboard from None
    from ebtop.control.choose import note
    from ebtop.control.refresh import Refresher
    from ebtop.outputs.statedump import StateDump
    from ebtop.sources.bpf import Session
    from ebtop.ui.loop import Loop
    from ebtop.ui.state import initial_state

    state = initial_state(options, not locale_is_utf8(), wants_color(options.color))
    try:
        with signals.at_once():
            opened = open_source()
        with opened as source:
            refresher = Refresher(source, options.budget_percent, named=options.named)
            begun = Loop.begin(refresher, state)
            left_over = privilege.drop(isinstance(source, Session))
            about = note(source) or left_over
            if about and source.event_fd is not None:  # of /proc the header says it
                state = state.with_(message=(about, False))
            lifeline.entered(leave)
            # left also before a traceback: to leave twice would put the cursor back over it
            with screen.taken(state.color, lifeline.left) as window:
                loop = Loop(
                    source, refresher, window, signals, lifeline, state, options.iterations,
                    StateDump(options),
                )  # fmt: skip
                loop.run(begun)
            _leave_behind(loop.summary.text())
    except EbtopError as error:
        say(str(error))
        return error.status
    except Exception:
        traceback.print_exc()
        return EXIT_FAILED
    return 0
