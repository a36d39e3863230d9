# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what `-b` and `--once` show of a snapshot: the view that the options ask for, as text.

How batch text looks is batch.py's, how a frame does ui/views/frame.py's.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from ebtop.model.snapshot import Snapshot
from ebtop.options.options import Options
from ebtop.options.values import MOST_SIDE
from ebtop.runtime.stdio import locale_is_utf8, wants_color
from ebtop.sources.cmdline import CommandLines
from ebtop.ui.batch import batch_text
from ebtop.ui.state import ViewState, initial_state

_DEFAULT_SIZE = (120, 40)
Emit = Callable[[Snapshot], str]


def batch(options: Options, lines: CommandLines) -> Emit:
    """Of each snapshot some lines on the machine, and its table of processes."""
    state = _state(options)

    def emit(snapshot: Snapshot) -> str:
        lines.read(snapshot)
        return batch_text(snapshot, state, lines.lines, options.limit)

    return emit


def once(options: Options, lines: CommandLines) -> Emit:
    """Of a snapshot one frame of the dashboard."""
    from ebtop.model.eventlog import EventLog
    from ebtop.ui.views.frame import frame_text, render

    state, log = _state(options), EventLog()
    width, height = options.size or _terminal_size()

    def emit(snapshot: Snapshot) -> str:
        log.absorb(snapshot)
        lines.read(snapshot)
        frame = render(snapshot, state, width, height, log.lines, log.totals, lines.lines)
        return frame_text(frame)

    return emit


def _state(options: Options) -> ViewState:

    return initial_state(options, not locale_is_utf8(), wants_color(options.color))


def _terminal_size() -> tuple[int, int]:
    try:
        size = os.get_terminal_size(1)
    except OSError:
        return _DEFAULT_SIZE
    if not size.columns or not size.lines:
        return _DEFAULT_SIZE
    return min(size.columns, MOST_SIDE), min(size.lines, MOST_SIDE)
