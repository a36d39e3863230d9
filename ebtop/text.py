# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns text from outside: the one type for it, and the one place that makes it displayable.

Process names, arguments, user and host names may be chosen by an attacker, and are treated as
hostile. Such text is `bytes` in a Snapshot; everything that shows it goes through
`displayable` (screens, batch, messages) or `data_text` (JSON), and nothing else decodes. Widths
are terminal cells, never characters.

What `displayable` replaces, because it must not reach a terminal:

- a byte that is no UTF-8, C0, DEL, C1: `\\xNN`; NUL, which separates arguments: a blank;
- bidi controls, zero-width and format characters, separators other than the blank, unassigned
  and private-use code points, halves of flags and whatever else joins its neighbours: `\\uNNNN`
  or `\\UNNNNNNNN`;
- combining marks after the second on one character, or with nothing to combine with: the same;
- with `ascii`, every other character beyond ASCII: `?`.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Union

_MARKS_KEPT = 2

_JOINERS = (
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x115F, 0x11FF),  # Hangul fillers, vowels and finals: width depends on the neighbour
    (0x17B4, 0x17B5),  # invisible Khmer vowels
    (0x180B, 0x180F),  # Mongolian variation selectors
    (0x3164, 0x3164),  # Hangul filler
    (0xD7B0, 0xD7FF),  # Hangul vowels and finals
    (0xFE00, 0xFE0F),  # variation selectors: may turn a narrow character wide
    (0xFFA0, 0xFFA0),  # half-width Hangul filler
    (0x1F1E6, 0x1F1FF),  # regional indicators: two make one flag
    (0x1F3FB, 0x1F3FF),  # skin tones: join the emoji before
    (0xE0100, 0xE01EF),  # variation selectors
)


class Outside:
    """Untrusted text. It has no conversion to `str`, so that it cannot be shown by accident."""

    __slots__ = ("raw",)

    def __init__(self, raw: bytes | str) -> None:
        self.raw = _encoded(raw) if isinstance(raw, str) else raw

    def __str__(self) -> str:
        raise TypeError("text from outside: use text.displayable or text.data_text")

    def __format__(self, spec: str) -> str:
        raise TypeError("text from outside: use text.displayable or text.data_text")

    def __repr__(self) -> str:
        return f"Outside({self.raw!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Outside) and other.raw == self.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __bool__(self) -> bool:
        return bool(self.raw)


def _encoded(text: str) -> bytes:
    """The bytes that text came from; a surrogate that is no such byte becomes invalid UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


OutsideText = Union[Outside, bytes, str]


def raw_bytes(text: OutsideText) -> bytes:
    """The bytes behind any form of text from outside; also what a user typed, to compare."""
    if isinstance(text, bytes):
        return text
    return (text if isinstance(text, Outside) else Outside(text)).raw


@lru_cache(maxsize=1024)
def displayable(text: OutsideText, ascii: bool = False) -> str:
    """What may reach a terminal: see the table above. The result `isprintable()`."""
    raw = _arguments(raw_bytes(text))
    if raw.isascii():
        plain = raw.decode("ascii")
        if plain.isprintable():
            return plain
    safe = _safe(raw.decode("utf-8", "surrogateescape"))
    return safe if safe.isascii() or not ascii else _only_ascii(safe)


def data_text(text: OutsideText) -> str:
    """For JSON, which loses nothing: every character stays (the encoder escapes all but ASCII).

    Only a byte that is no UTF-8 becomes `\\xNN`, and NUL between arguments a blank.
    """
    return _arguments(raw_bytes(text)).decode("utf-8", "backslashreplace")


def _arguments(raw: bytes) -> bytes:
    return raw.rstrip(b"\0").replace(b"\0", b" ") if b"\0" in raw else raw


def _safe(text: str) -> str:
    out = []
    marks = _MARKS_KEPT
    for char in text:
        if char.isprintable() and not _joins(ord(char)):
            if unicodedata.category(char) not in ("Mn", "Me"):
                marks = 0
                out.append(char)
                continue
            marks += 1
            if marks <= _MARKS_KEPT:
                out.append(char)
                continue
        marks = _MARKS_KEPT
        out.append(_escape(char))
    return "".join(out)


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8
        code -= 0xDC00
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _joins(code: int) -> bool:
    return code >= 0x34F and any(first <= code <= last for first, last in _JOINERS)


def _only_ascii(text: str) -> str:
    kept = (char for char in text if unicodedata.category(char) not in ("Mn", "Me"))
    return "".join(char if char.isascii() else "?" for char in kept)


@lru_cache(maxsize=4096)
def _char_cells(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cells(text: str) -> int:
    """How many terminal cells displayable text covers."""
    return len(text) if text.isascii() else sum(map(_char_cells, text))


def cut(text: str, width: int) -> str:
    """At most `width` cells from the front; a wide character that would stick out is left off."""
    if text.isascii():
        return text[:width] if width > 0 else ""
    used = 0
    for index, char in enumerate(text):
        used += _char_cells(char)
        if used > width:
            return text[:index]
    return text


def shifted(text: str, by: int) -> str:
    """What is left when so many cells have gone out at the front."""
    return text[len(cut(text, by)) :]


def fit(text: str, width: int, right: bool = False) -> str:
    """Cut and padded with blanks to exactly `width` cells."""
    if not text.isascii():
        text = cut(text, width)
        blanks = " " * (width - cells(text))
        return blanks + text if right else text + blanks
    return text[:width].rjust(width) if right else text[:width].ljust(width)
