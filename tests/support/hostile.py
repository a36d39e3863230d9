# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the corpus of hostile names: bytes that somebody could give a process, file or user."""

from __future__ import annotations

_BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_INVISIBLE = "\u00ad\u034f\u115f\u1160\u17b4\u180e\u200b\u200c\u200d\u2060\u2064\u3164\ufeff\uffa0"
_SEPARATORS = "\u0085\u00a0\u1680\u2000\u2003\u200a\u2028\u2029\u202f\u205f\u3000"
_SEQUENCES = (
    b"\x1b[2J", b"\x1b[H", b"\x1b[31mred", b"\x1b[?1049l", b"\x1b[?25l", b"\x1b[6n", b"\x1bc",
    b"\x1b]0;title\x07", b"\x1b]0;title\x1b\\", b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
    b"\x1b]52;c;cm0gLXJmIC8=\x07", b"\x1bP+q544e\x1b\\", b"\x1b_apc\x1b\\", b"\x1b^pm\x1b\\",
    b"\x1b(0lqqk", b"\x1b#8", b"\x1b[1000A", b"\x1b[999;999H", b"\x9b2J", b"\x9d0;t\x9c",
    b"\xc2\x9b2J", b"\xc2\x9d0;t\xc2\x9c", b"\x1b[5i", b"\x1b[?2004h", b"\x1b[c", b"\x1b7\x1b8",
)  # fmt: skip
_INVALID = (
    b"\xff", b"\xfe\xff", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xed\xbf\xbf",
    b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xc3", b"a\xe2\x82", b"\xe2\x82\xacx\xe2",
    b"\x80", b"\xbf\xbf", b"caf\xe9", b"\xf0\x9f\x98", b"\xc3\x28", b"\xa0\xa1",
)  # fmt: skip
_WIDE = (
    "日本語プロセス", "全角ａｂｃ", "한국어", "\u1112\u1161\u11ab", "👩‍👩‍👧‍👦", "🇩🇪🇫🇷", "👍🏽",
    "❤️", "☁︎", "e\u0301", "a" + "\u0301" * 100, "\u0301start", "ก็็็็็็็็", "नमस्ते",
    "مرحبا", "שלום", "ﷺ", "𒐫", "꧅",
    "\U0001f600" * 40, "x" * 255, "日" * 200, "\ue000private", "\U000f0000", "\U0010ffff", "\ufffe",
    "\U000e0041tag", "\u0378unassigned", "｟", "—dash", "naïve", "ß", "Ω", "½", "\u2800braille",
)  # fmt: skip
_FORGED = (
    b"a\rFAKE", b"a\nb", b"a\r\nroot 1", b"\b\b\b\bhidden", b"\ttab\ttab", b"a\vb\fc",
    b'","pid":1,"x":"', b"{}", b"\\u0000", b"%s%n%x", b"$(id)", b"`id`", b"; rm -rf /", b"=1+1",
    b"@SUM(1)", b"+cmd", b"-n", b"--", b"'", b'"', b"\\", b"\\\\x1b", b"", b" ", b"   ", b"]", b"[",
    b"../../etc", b"null", b"(exit 0)", b"> selected", b"\x7f\x7f",
)  # fmt: skip


def names() -> list[bytes]:
    """More than 300 of them, all different."""
    corpus: list[bytes] = []
    for code in (*range(1, 32), 127):
        corpus += [b"c0" + bytes([code]) + b"x", bytes([code]) * 3]
    for code in range(0x80, 0xA0):
        corpus += [b"c1" + bytes([code]) + b"x", b"u" + chr(code).encode() + b"x"]
    for char in _BIDI + _INVISIBLE + _SEPARATORS:
        corpus += [f"pre{char}post".encode(), (char * 5).encode()]
    corpus += [*_SEQUENCES, *_INVALID, *_FORGED]
    corpus += [text.encode() for text in _WIDE]
    corpus += [text.encode()[:15] for text in _WIDE]
    return list(dict.fromkeys(corpus))
