# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what a line of the screen is: spans of displayable text, each with a style by meaning.

A style says what the text means; which colour that is, and whether there is any, `ui/screen.py`
decides. All widths are terminal cells. Text in a span is displayable already (`text.py`).
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from ebtop.text import cells, cut


class Style(Enum):
    """What a piece of text means."""

    NORMAL = auto()
    BOLD = auto()
    DIM = auto()
    TITLE = auto()
    """Heading of a panel."""
    TITLE_FOCUSED = auto()
    LABEL = auto()
    """Name of a value in the header; the value itself is NORMAL or BOLD."""
    COLUMN_HEADER = auto()
    COLUMN_HEADER_SORTED = auto()
    SELECTED = auto()
    TAGGED = auto()
    EXITED = auto()
    GOOD = auto()
    NOTICE = auto()
    WARNING = auto()
    BAD = auto()
    BAR_FRAME = auto()
    BAR_USER = auto()
    BAR_KERNEL = auto()
    BAR_BUSY = auto()
    BAR_MEMORY = auto()
    BAR_EMPTY = auto()
    WAIT_DISK = auto()
    """In a bar of reasons to wait; letters say the same."""
    WAIT_NETWORK = auto()
    WAIT_LOCK = auto()
    WAIT_CONDITION = auto()
    WAIT_SLEEP = auto()
    WAIT_PIPE = auto()
    WAIT_POLL = auto()
    KEY = auto()
    KEY_LABEL = auto()
    PROMPT = auto()
    MESSAGE = auto()
    ERROR = auto()
    HELP = auto()


class Span(NamedTuple):
    """Displayable text of one style."""

    text: str
    style: Style = Style.NORMAL


Line = tuple[Span, ...]


def line(text: str, style: Style = Style.NORMAL) -> Line:
    """A line of one span."""
    return (Span(text, style),)


def line_cells(spans: Line) -> int:
    """How many cells the line covers."""
    return sum(cells(span.text) for span in spans)


def fit_line(spans: Line, width: int, fill: Style = Style.NORMAL) -> Line:
    """The line cut or padded with blanks to exactly `width` cells."""
    fitted = []
    left = width
    for span in spans:
        size = cells(span.text)
        if size > left:
            text = cut(span.text, left)
            left -= cells(text)
            fitted.append(Span(text, span.style))
            break
        fitted.append(span)
        left -= size
    if left:
        fitted.append(Span(" " * left, fill))
    return tuple(fitted)


def line_text(spans: Line) -> str:
    """The text alone."""
    return "".join(span.text for span in spans)
