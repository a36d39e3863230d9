# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the terminal: takes it, draws frames on it, reads keys from it, gives it back.

The only file that imports curses. It gets lines of displayable text with styles by meaning and
decides the colours; it knows nothing of processes.
"""

from __future__ import annotations

import contextlib
import curses
import os
import re
import termios
from typing import Any, Callable, Iterator, Optional, Sequence

from ebtop.errors import EbtopError
from ebtop.runtime import signals
from ebtop.runtime.stdio import OutputClosed, write_all
from ebtop.ui.views.line import Line, Style

MOST_COLUMNS, MOST_LINES = 1000, 500
"""The largest size that is drawn: ncurses would believe a terminal that claims 65535 of each."""
FALLBACK_TERMS = ("xterm-256color", "xterm", "linux", "vt100", "ansi")
_ESC_DELAY_MS = 25
_PADDING = re.compile(rb"\$<[^>]*>")
_XTERM_MODES_OFF = b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l"

# colour (None: the terminal's own), attributes
_LOOKS: dict[Style, tuple[Optional[int], int]] = {
    Style.NORMAL: (None, 0),
    Style.BOLD: (None, curses.A_BOLD),
    Style.DIM: (None, curses.A_DIM),
    Style.TITLE: (curses.COLOR_CYAN, 0),
    Style.TITLE_FOCUSED: (curses.COLOR_CYAN, curses.A_BOLD),
    Style.LABEL: (curses.COLOR_CYAN, 0),
    Style.COLUMN_HEADER: (curses.COLOR_GREEN, curses.A_REVERSE),
    Style.COLUMN_HEADER_SORTED: (curses.COLOR_CYAN, curses.A_REVERSE | curses.A_BOLD),
    Style.SELECTED: (None, curses.A_REVERSE),
    Style.TAGGED: (curses.COLOR_YELLOW, curses.A_BOLD),
    Style.EXITED: (curses.COLOR_RED, 0),
    Style.GOOD: (curses.COLOR_GREEN, 0),
    Style.NOTICE: (curses.COLOR_CYAN, curses.A_BOLD),
    Style.WARNING: (curses.COLOR_YELLOW, curses.A_BOLD),
    Style.BAD: (curses.COLOR_RED, curses.A_BOLD),
    Style.BAR_FRAME: (None, curses.A_BOLD),
    Style.BAR_USER: (curses.COLOR_GREEN, 0),
    Style.BAR_KERNEL: (curses.COLOR_RED, 0),
    Style.BAR_BUSY: (curses.COLOR_GREEN, 0),
    Style.BAR_MEMORY: (curses.COLOR_GREEN, 0),
    Style.BAR_EMPTY: (None, curses.A_DIM),
    Style.WAIT_DISK: (curses.COLOR_YELLOW, curses.A_BOLD),
    Style.WAIT_NETWORK: (curses.COLOR_CYAN, curses.A_BOLD),
    Style.WAIT_LOCK: (curses.COLOR_RED, curses.A_BOLD),
    Style.WAIT_CONDITION: (None, curses.A_DIM),
    Style.WAIT_SLEEP: (None, curses.A_DIM),
    Style.WAIT_PIPE: (curses.COLOR_GREEN, 0),
    Style.WAIT_POLL: (curses.COLOR_BLUE, 0),
    Style.KEY: (None, curses.A_BOLD),
    Style.KEY_LABEL: (curses.COLOR_CYAN, curses.A_REVERSE),
    Style.PROMPT: (None, curses.A_BOLD),
    Style.MESSAGE: (None, 0),
    Style.ERROR: (curses.COLOR_RED, curses.A_BOLD),
    Style.HELP: (None, 0),
}


class NoScreen(Exception):
    """The terminal cannot address its cursor."""


def set_up_terminal() -> bytes:
    """Finds the terminal's description; returns the bytes that restore the terminal.

    An unknown TERM is taken for an xterm, as nearly all terminals are.
    """
    for term in (os.environ.get("TERM", ""), *FALLBACK_TERMS):
        try:
            curses.setupterm(term, 1)
        except curses.error:
            continue
        os.environ["TERM"] = term  # initscr asks again, and ends the process if it is unknown
        break
    else:
        raise NoScreen
    if not curses.tigetstr("cup"):
        raise NoScreen
    return _leave_sequence()


def _leave_sequence() -> bytes:
    names = ("sgr0", "op", "rmkx", "cnorm", "rmcup")
    leave = b"".join(_PADDING.sub(b"", curses.tigetstr(name) or b"") for name in names)
    # mouse and paste modes are never enabled here, but an xterm is told to disable them anyway
    like_xterm = (curses.tigetstr("kmous") or b"").startswith((b"\x1b[M", b"\x1b[<"))
    return (_XTERM_MODES_OFF if like_xterm else b"") + leave


@contextlib.contextmanager
def taken(color: bool, given_back: Callable[[], None]) -> Iterator[Screen]:
    """The screen; it is restored at the end in any case. Call `set_up_terminal` before.

    `given_back` is called if the terminal accepted all the output; otherwise the parent restores
    it.
    """
    os.environ["ESCDELAY"] = str(_ESC_DELAY_MS)
    theirs = _settings()
    _bound_size()
    window = curses.initscr()
    gathered = _Gathered(theirs)
    try:
        curses.noecho()
        curses.cbreak()
        curses.nonl()
        gathered.ours = _settings()
        yield Screen(window, gathered, color)
    finally:
        if gathered.give_back():
            given_back()


def _settings() -> Optional[list[Any]]:
    with contextlib.suppress(termios.error):
        return termios.tcgetattr(1)
    return None


def _set(settings: Optional[list[Any]]) -> None:
    """Applies the settings after the pending output, unless that output is stuck."""
    heard = signals.heard()
    assert heard is not None
    with contextlib.suppress(termios.error):
        try:
            with heard.ticking(lambda: None):
                termios.tcsetattr(1, termios.TCSADRAIN, settings or [])
        except termios.error:
            termios.tcsetattr(1, termios.TCSANOW, settings or [])


def _bound_size() -> None:
    """Limits the size that ncurses sees, whatever the terminal and the environment say."""
    try:
        size = os.get_terminal_size(1)
    except OSError:
        size = os.terminal_size((0, 0))
    sides = (("COLUMNS", size.columns, MOST_COLUMNS), ("LINES", size.lines, MOST_LINES))
    for name, cells, most in sides:
        told = os.environ.get(name, "")
        if told.isascii() and told.isdigit():
            cells = int(told) if len(told) < 10 else most + 1
        elif told:
            del os.environ[name]
        if cells > most:
            os.environ[name] = str(most)


class _Gathered:
    """Collects the output of curses inside a `with` into one write.

    ncurses flushes at every cursor movement, some 200 times per frame, so a terminal would show
    half-drawn frames. It also blocks forever on a full terminal. So inside the `with` its
    descriptor is a file in memory; terminal settings, which such a file lacks, are applied here.
    """

    def __init__(self, theirs: Optional[list[Any]]) -> None:
        self._theirs = theirs
        self.ours: Optional[list[Any]] = None
        self.arrived = True
        """The terminal took all of the last write."""
        self._memory: Optional[int] = None
        with contextlib.suppress(OSError):
            self._memory = os.memfd_create("ebtop-frame", os.MFD_CLOEXEC)
        self._terminal = os.dup(1)

    def __enter__(self) -> None:
        if self._memory is not None:
            os.dup2(self._memory, 1)

    def __exit__(self, *_: object) -> None:
        os.dup2(self._terminal, 1)
        if self._memory is None:
            return
        length = os.lseek(self._memory, 0, os.SEEK_CUR)
        if not length:
            return
        frame = os.pread(self._memory, length, 0)
        os.lseek(self._memory, 0, os.SEEK_SET)
        try:
            write_all(frame)
            self.arrived = True
        except (EbtopError, OutputClosed):  # gone: its hang-up ends the loop
            self.arrived = False
            os.dup2(self._terminal, 1)  # the write that gave up has replaced the descriptor

    def give_back(self) -> bool:
        """Restores the terminal; returns whether it accepted all the output."""
        with contextlib.suppress(curses.error), self:
            curses.endwin()
        _set(self._theirs)
        return self.arrived

    def take(self) -> None:
        """Takes the terminal again after another program used it."""
        with contextlib.suppress(curses.error), self:
            curses.reset_prog_mode()
        _set(self.ours)


class Screen:
    """One full-screen window. Remembers the lines it drew, and draws only those that differ."""

    def __init__(self, window: curses.window, gathered: _Gathered, color: bool) -> None:
        self._window = window
        self._gathered = gathered
        curses.typeahead(-1)  # a key typed must not stop a frame half-way
        # Reading through a pad: getch on the window itself would refresh it first.
        self._keys = curses.newpad(1, 1)
        self._keys.keypad(True)
        self._keys.nodelay(True)
        self._attributes = _attributes(color)
        self._drawn: list[Optional[Line]] = []
        self.show_cursor(False)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in cells."""
        height, width = self._window.getmaxyx()
        return width, height

    def fit_terminal(self) -> None:
        """Adopts the current size of the terminal; the next frame is drawn completely."""
        with contextlib.suppress(OSError, curses.error):
            size = os.get_terminal_size(1)
            if size.columns > 0 and size.lines > 0:
                curses.resizeterm(min(size.lines, MOST_LINES), min(size.columns, MOST_COLUMNS))
        self.redraw()

    def redraw(self) -> None:
        """Draws the next frame completely, whatever the terminal shows."""
        self._drawn = []
        self._window.clear()

    def draw(self, lines: Sequence[Line], cursor_row: Optional[int], cursor_column: int) -> None:
        """Draws the lines that changed, with one write."""
        width, height = self.size
        drawn = self._drawn
        shown: list[Optional[Line]] = list(lines[:height])
        drawn += [None] * (len(shown) - len(drawn))
        for row, line in enumerate(shown):
            if line is not None and line != drawn[row]:
                self._draw_line(row, line, width)
        self._drawn = shown
        row = height - 1 if cursor_row is None else cursor_row
        with contextlib.suppress(curses.error):
            self._window.move(min(row, height - 1), min(cursor_column, width - 1))
        self._window.noutrefresh()
        with self._gathered:
            curses.doupdate()

    def _draw_line(self, row: int, line: Line, width: int) -> None:
        window = self._window
        # addstr raises after it has written the last cell of the screen, and where a terminal that
        # was just made smaller has no such row. Neither is a reason to stop.
        try:
            window.move(row, 0)
            for text, attribute in self._runs(line):
                window.addstr(text, attribute)
            if window.getyx()[0] == row and window.getyx()[1] < width:
                window.clrtoeol()
        except (curses.error, ValueError):
            pass

    def _runs(self, line: Line) -> Iterator[tuple[str, int]]:
        """Neighbouring spans that look alike are one call."""
        text, look = "", 0
        for span in line:
            attribute = self._attributes[span.style]
            if attribute != look and text:
                yield text, look
                text = ""
            text, look = text + span.text, attribute
        if text:
            yield text, look

    def typed(self) -> Iterator[str]:
        """The keys typed so far: a character each, or a name such as KEY_F1. Never blocks."""
        while True:
            try:
                key = self._keys.get_wch()
            except curses.error:
                return
            if isinstance(key, str):
                yield "KEY_ENTER" if key in "\r\n" else key
                continue
            name = _key_name(key)
            if name != "KEY_RESIZE":
                yield name

    def show_cursor(self, visible: bool) -> None:
        """Shows or hides the cursor; a prompt shows it."""
        with contextlib.suppress(curses.error), self._gathered:
            curses.curs_set(1 if visible else 0)

    def retake(self) -> None:
        """Takes the terminal back after this process was stopped."""
        self._gathered.take()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Gives the terminal back for a while (Ctrl-Z)."""
        self._gathered.give_back()
        yield
        self.fit_terminal()
        self._gathered.take()
        with self._gathered:
            curses.doupdate()  # takes the terminal again


def _key_name(code: int) -> str:
    with contextlib.suppress(ValueError, curses.error):
        name = curses.keyname(code).decode("ascii", "replace")
        if name.startswith("KEY_F("):
            return "KEY_F" + name[6:-1]
        return {"KEY_SELECT": "KEY_END", "KEY_FIND": "KEY_HOME"}.get(name, name)
    return ""


def _attributes(color: bool) -> dict[Style, int]:
    pairs: dict[int, int] = {}
    if color:
        with contextlib.suppress(curses.error):
            curses.start_color()
            background = curses.COLOR_BLACK
            with contextlib.suppress(curses.error):
                curses.use_default_colors()
                background = -1
            if curses.has_colors():
                for number, hue in enumerate({hue for hue, _ in _LOOKS.values() if hue}, 1):
                    curses.init_pair(number, hue, background)
                    pairs[hue] = curses.color_pair(number)
    return {style: look | pairs.get(hue or 0, 0) for style, (hue, look) in _LOOKS.items()}
