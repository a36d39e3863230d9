# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the checks of text from outside: what is substituted, and how wide text is."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebtop.text import Outside, cells, cut, data_text, displayable, fit, shifted


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"plain", "plain"),
        (b"", ""),
        (b"a\rFAKE", "a\\x0dFAKE"),
        (b"\x1b[2J", "\\x1b[2J"),
        (b"\x7f", "\\x7f"),
        (b"caf\xe9", "caf\\xe9"),
        (b"\xc2\x9b2J", "\\x9b2J"),
        ("é".encode(), "é"),
        ("x\u202ey".encode(), "x\\u202ey"),
        ("\u200b".encode(), "\\u200b"),
        ("\u00a0".encode(), "\\xa0"),
        ("\U000e0041".encode(), "\\U000e0041"),
        ("\ue000".encode(), "\\ue000"),
        ("e\u0301".encode(), "e\u0301"),
        ("\u0301e".encode(), "\\u0301e"),
        (b"python3\0-m\0http.server\0", "python3 -m http.server"),
        (b"a\0\0b\0", "a  b"),
        ("👍🏽".encode(), "👍\\U0001f3fd"),
    ],
)
def test_what_may_not_reach_a_terminal_is_shown_by_its_number(raw: bytes, shown: str) -> None:
    assert displayable(raw) == shown


def test_ascii_shows_a_question_mark_for_each_other_character() -> None:
    assert displayable("日本 é\u202e".encode(), ascii=True) == "?? ?\\u202e"


def test_outside_text_never_becomes_str_by_itself() -> None:
    name = Outside(b"x\x1b")
    with pytest.raises(TypeError):
        str(name)
    with pytest.raises(TypeError):
        f"{name}"
    with pytest.raises(TypeError):
        "%s" % name  # noqa: UP031
    with pytest.raises(TypeError):
        "{}".format(name)  # noqa: UP032
    assert displayable(name) == "x\\x1b"
    assert Outside("caf\udce9").raw == b"caf\xe9"


def test_json_text_loses_nothing() -> None:
    assert data_text("a\n日\u202e".encode()) == "a\n日\u202e"
    assert data_text(b"caf\xe9") == "caf\\xe9"


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("ａ", 2), ("👍", 2), ("", 0)]
)
def test_width_is_counted_in_cells(text: str, width: int) -> None:
    assert cells(text) == width


def test_a_wide_character_is_never_halved() -> None:
    assert cut("日本", 3) == "日"
    assert fit("日本", 3) == "日 "
    assert fit("日本", 5, right=True) == " 日本"
    assert shifted("日本x", 2) == "本x"


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 30), st.booleans())
def test_any_bytes_become_printable_and_fit(raw: bytes, width: int, ascii: bool) -> None:
    shown = displayable(raw, ascii)
    assert shown.isprintable()
    assert not ascii or shown.isascii()
    assert cells(fit(shown, width)) == width
    assert cells(cut(shown, width)) <= width


def test_no_code_point_gets_through_that_may_not() -> None:
    bad = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    for code in range(sys.maxunicode + 1):
        if not 0xD800 <= code <= 0xDFFF and unicodedata.category(chr(code)) in bad and code:
            assert displayable(chr(code).encode()).isascii()
