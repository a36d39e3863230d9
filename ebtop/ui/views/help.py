# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the help overlay: keys, marks, columns and where each value comes from.

Its text is made from the tables of keys and columns themselves, so it cannot lag behind them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from ebtop.model.process_table import COLUMNS, Column
from ebtop.model.snapshot import Snapshot
from ebtop.model.syscall_table import COLUMNS as SYSCALL_COLUMNS
from ebtop.text import displayable
from ebtop.ui.keys import KEYS
from ebtop.ui.state import ViewState
from ebtop.ui.views.line import Line, Span, Style

_KEY_NAMES = {
    "KEY_UP": "Up", "KEY_DOWN": "Down", "KEY_LEFT": "Left", "KEY_RIGHT": "Right",
    "KEY_PPAGE": "PgUp", "KEY_NPAGE": "PgDn", "KEY_HOME": "Home", "KEY_END": "End",
    "\t": "Tab", " ": "Space", "\x1b": "Esc", "\n": "Enter", "\r": "Enter",
}  # fmt: skip


def help_lines(snapshot: Snapshot, state: ViewState, height: int) -> tuple[list[Line], ViewState]:
    """The part of the help in sight, and the state with its scrolling done."""
    lines = [*_static(state.ascii), *_probe_lines(snapshot, state)]
    wished = state.help_scroll + state.move + state.move_pages * max(1, height - 2)
    first = max(0, min(wished, len(lines) - (height - 1)))
    state = replace(state, help_scroll=first, move=0, move_pages=0)
    more = first + height - 1 < len(lines)
    title = "Help: Esc or h closes, arrows scroll" + ("; more below" if more else "")
    return [(Span(title, Style.TITLE_FOCUSED),), *lines[first : first + height - 1]], state


@lru_cache(maxsize=2)
def _static(ascii: bool) -> tuple[Line, ...]:
    lines = [_title("Keys"), *_key_lines()]
    lines += [
        _title("Marks"),
        _entry(">", "selected row"),
        _entry("*", "tagged row; + selected and tagged"),
        _entry("X", "in STATE: ended in this interval, its exact totals shown"),
        _entry("-", "not known here: never 0, never a guess"),
        _entry("/S", "in a title: by the second; c shows totals, without it"),
        _entry("~" if ascii else "≈", "estimated, not counted"),
        _title("Columns (name for --sort, probe: meaning)"),
    ]
    lines += [_entry(column.heading(ascii), _column_text(column)) for column in COLUMNS]
    lines.append(_title("System calls (panel 2)"))
    lines += [_entry(column.title, column.help) for column in SYSCALL_COLUMNS]
    return tuple(lines)


def _title(text: str) -> Line:
    return (Span(text, Style.TITLE),)


def _entry(term: str, text: str) -> Line:
    return (Span(f"  {term:<16}", Style.KEY), Span(" " + text, Style.HELP))


def _key_lines() -> list[Line]:
    by_sentence: dict[str, list[str]] = {}
    for key, action in KEYS.items():
        by_sentence.setdefault(str(action.value), []).append(_key_name(key))
    return [_entry(" ".join(keys), sentence) for sentence, keys in by_sentence.items()]


def _key_name(key: str) -> str:
    if key in _KEY_NAMES:
        return _KEY_NAMES[key]
    if len(key) == 1 and ord(key) < 32:
        return "^" + chr(ord(key) + 64)
    return key[len("KEY_") :] if key.startswith("KEY_") else key


def _column_text(column: Column) -> str:
    how = "" if column.provenance == "counted" else f" ({column.provenance})"
    rate = ", a second" if column.rate else ""
    return f"{column.name}, {column.probe}: {column.help}{rate}{how}"


def _probe_lines(snapshot: Snapshot, state: ViewState) -> list[Line]:
    lines = [_title("Probes")]
    for probe in snapshot.probes:
        text = f"{probe.state}  {displayable(probe.hook, state.ascii)}"
        if probe.reason:
            text += "  " + displayable(probe.reason, state.ascii)
        lines.append(_entry(displayable(probe.name, state.ascii), text))
    return lines
