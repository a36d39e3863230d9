# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the dashboard's loop: one thread that waits for keys, events, signals and the next refresh.

Keys are answered at once from the last snapshot. It decides when things happen: what a key means is
`actions.py`'s, what is shown `views`', how fast `control/pace.py`'s.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import time
from typing import Optional, Sequence

from ebtop.control import pace
from ebtop.control.choose import Source
from ebtop.control.refresh import Refresher
from ebtop.model.eventlog import EventLog
from ebtop.model.filters import EVERYONE
from ebtop.model.snapshot import Snapshot
from ebtop.outputs.statedump import NO_PLACE, StateDump
from ebtop.runtime.signals import ENDING, Signals
from ebtop.sources import host
from ebtop.sources.cmdline import CommandLines
from ebtop.text import cells
from ebtop.ui import actions
from ebtop.ui.guard import Lifeline
from ebtop.ui.keys import KEYS, Action
from ebtop.ui.screen import Screen
from ebtop.ui.screendump import write_text
from ebtop.ui.state import ViewState
from ebtop.ui.summary import Summary
from ebtop.ui.views.frame import Frame, frame_text, render
from ebtop.ui.views.line import line_text

FIRST_INTERVAL_S = 0.1
_CMDLINE_WAIT_S = 0.02
_HANG_UP = select.POLLHUP | select.POLLERR | select.POLLNVAL


class Loop:
    """One run of the dashboard, from the first frame to the end."""

    def __init__(
        self,
        source: Source,
        refresher: Refresher,
        screen: Screen,
        signals: Signals,
        lifeline: Lifeline,
        state: ViewState,
        iterations: Optional[int],
        state_dump: StateDump,
    ) -> None:
        self._source = source
        self._refresher = refresher
        self._probe_control = refresher.probe_control
        self._screen = screen
        self._signals = signals
        self._lifeline = lifeline
        self._state = state
        self._left = iterations
        self._log = EventLog()
        self._commands = CommandLines()
        self._state_dump = state_dump
        self.summary = Summary()
        for listener in (self._log, self._commands, self.summary):
            refresher.tell(listener.absorb)
        refresher.tell(state_dump.remember)
        signals.tell_state = self._tell_state
        self._ended = False
        self._due = 0.0
        self._took_s = 0.0
        self._snapshot: Snapshot
        self._frame: Frame
        if state.filter:
            self._probe_control.set_filter(state.filter, EVERYONE)
        self._poller = select.poll()
        for fd in (0, signals.fd, lifeline.parent_fd):
            self._poller.register(fd, select.POLLIN)
        if source.event_fd is not None:
            self._poller.register(source.event_fd, select.POLLIN)

    @staticmethod
    def begin(refresher: Refresher, state: ViewState) -> float:
        """Begins the first interval, in which the terminal is set up; returns the time."""
        host.count_in(os.getppid())
        refresher.begin(state.request)
        return time.monotonic()

    def run(self, begun: float) -> None:
        """Until the user, a signal, the terminal or the parent ends it."""
        first_s = min(FIRST_INTERVAL_S, self._state.pace.interval_s)
        self._due = begun + first_s
        self._wait_quietly()
        while not self._ended:
            self._refresh()
            gc.freeze()  # what survives a refresh lives long: do not traverse it again
            if self._left is not None:
                self._left -= 1
                if self._left <= 0:
                    break
            self._due = max(self._due + self._state.pace.interval_s, time.monotonic())
            self._wait()
        self._commands.close()

    # ---- waiting ----

    def _wait_quietly(self) -> None:
        """Before the first frame there is no snapshot to answer keys from: only signals are
        handled."""
        first = select.poll()
        first.register(self._signals.fd, select.POLLIN)
        while not self._ended:
            left_s = self._due - time.monotonic()
            if left_s <= 0 or not first.poll(left_s * 1000):
                return
            self._heed(self._signals.taken())

    def _wait(self) -> None:
        """Until the next refresh is due or the end; answers whatever comes meanwhile."""
        while not self._ended:
            timeout_ms: Optional[float] = None
            if not self._state.paused:
                timeout_ms = (self._due - time.monotonic()) * 1000
                if timeout_ms <= 0:
                    return
            # poll() counts whole milliseconds: round up, or the last one is spent spinning
            ready = dict(self._poller.poll(None if timeout_ms is None else timeout_ms + 1))
            if self._signals.fd in ready:
                self._heed(self._signals.taken())
            if self._source.event_fd in ready:
                self._source.poll()
            if self._lifeline.parent_fd in ready:
                self._signals.allow_background()
                self._ended = True
            if ready.get(0, 0) & _HANG_UP:
                self._ended = True
            elif 0 in ready:
                self._answer_keys()

    def _heed(self, numbers: set[int]) -> None:
        if not ENDING.isdisjoint(numbers):
            self._ended = True
            return
        if signal.SIGTSTP in numbers:
            with self._screen.away():
                self._signals.stop_here()
            self._heed(self._signals.taken() - {signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH})
            self._draw_again()
        elif signal.SIGCONT in numbers or signal.SIGWINCH in numbers:
            if signal.SIGCONT in numbers:
                self._screen.retake()
            self._screen.fit_terminal()
            self._draw_again()

    # ---- keys ----

    def _answer_keys(self) -> None:
        keys = 0
        for key in self._screen.typed():
            keys += 1
            self._answer(key)
            if self._ended:
                return
        if keys:
            self._draw()

    def _answer(self, key: str) -> None:
        if self._state.prompt is not None:
            self._answer_at_prompt(key)
            return
        action = KEYS.get(key)
        if action is None:
            return
        if action is Action.QUIT:
            self._ended = True
        elif action is Action.REDRAW:
            self._screen.redraw()
        before = self._state
        self._state = actions.apply(before, action)
        if action is Action.RESET:
            self._log.reset()
            self._collect(reset=True)
        elif self._state.request != before.request:
            self._collect()
        elif self._state.filter != before.filter:
            self._filter()
        if self._state.pace != before.pace:
            self._due = time.monotonic() + self._state.pace.interval_s
        if self._state.prompt is not None:
            self._screen.show_cursor(True)
        # A wish is carried out before the next key asks for something else.
        if action is not Action.QUIT:
            self._render()

    def _answer_at_prompt(self, key: str) -> None:
        assert self._state.prompt is not None
        kind, text = self._state.prompt
        if key == "KEY_ENTER":
            self._state = actions.accept_prompt(self._state, self._snapshot)
            if kind == "filter" and self._state.prompt is None:
                self._filter()
            if kind == "file" and text:
                self._render()
                said = write_text(text, frame_text(self._frame))
                self._state = self._state.with_(message=said)
        elif key == "\x1b":
            self._state = self._state.with_(prompt=None, message=None)
        else:
            self._state = actions.type_key(self._state, key)
        if self._state.prompt is None:
            self._screen.show_cursor(False)
        self._render()

    def _filter(self) -> None:
        """Collects at once, for the last snapshot was filtered otherwise."""
        self._probe_control.set_filter(self._state.filter, self._snapshot.filter)
        self._collect()

    # ---- refreshing and drawing ----

    def _refresh(self) -> None:
        before = time.monotonic()
        self._collect()
        self._render()
        self._draw()
        took_s = time.monotonic() - before
        self._state = self._state.with_(pace=self._next_pace(took_s))

    def _next_pace(self, took_s: float) -> pace.Pace:
        snapshot = self._snapshot
        system = snapshot.system
        counts = (system.started, system.execs, system.exited, system.opens)
        events = sum(count for count in counts if count is not None)
        load = snapshot.host.load
        signs = pace.Signs(
            events_per_s=events / snapshot.interval_s if snapshot.interval_s > 0 else 0.0,
            load1=None if load is None else load[0],
            cpus=snapshot.host.cpus,
            refresh_s=took_s,
        )
        return pace.next_pace(self._state.pace, signs)

    def _collect(self, reset: bool = False) -> None:
        state = self._state
        if hasattr(self, "_snapshot"):
            del self._snapshot  # before the next: two at once are megabytes where there are many
        self._snapshot = self._refresher.refresh(state.request, state.looked_at, reset)

    def _tell_state(self) -> None:
        if not self._state_dump.write():
            self._state = self._state.with_(message=(NO_PLACE, True))
            self._draw_again()

    def _render(self) -> None:
        width, height = self._screen.size
        self._frame = self._rendered(width, height)
        if self._read_commands(self._frame.visible):
            self._frame = self._rendered(width, height)
        self._state = self._frame.state

    def _read_commands(self, visible: Sequence[tuple[int, int]]) -> bool:
        """Requests the command lines of the rows shown; returns whether new ones arrived."""
        lines = self._commands.lines
        asked = self._commands.want(visible)
        before = {key: lines.get(key) for key in asked}
        self._commands.settle(asked, _CMDLINE_WAIT_S)
        return any(lines.get(key) != before[key] for key in asked)

    def _rendered(self, width: int, height: int) -> Frame:
        return render(
            self._snapshot, self._state, width, height,
            self._log.lines, self._log.totals, self._commands.lines,
        )  # fmt: skip

    def _draw(self) -> None:
        frame, column = self._frame, 0
        if frame.state.prompt is not None and frame.cursor_row is not None:
            # on the mark that the view draws after the typed text
            column = max(0, cells(line_text(frame.lines[frame.cursor_row]).rstrip()) - 1)
        self._screen.draw(frame.lines, frame.cursor_row, column)
        # after the key was seen to be answered: loading a probe takes tenths of a second
        self._probe_control.run_probes(frame.probes)
        self._probe_control.look_at(frame.looked_at)

    def _draw_again(self) -> None:
        if hasattr(self, "_snapshot"):
            self._render()
            self._draw()
