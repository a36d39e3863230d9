# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what an event of `ebtop slow` says: which operation took long, how long, and on what.

The rest of its line is outputs/eventlines.py's. Names of files are hostile.
"""

from __future__ import annotations

from typing import Any, Optional

from ebtop import units
from ebtop.model.connection_table import place
from ebtop.model.errornames import error_name
from ebtop.model.layout import FILE_PART_BYTES, SLOW, SLOW_ABOUT, SLOW_KINDS
from ebtop.model.syscallnames import COMPAT, name_of
from ebtop.model.waitreasons import CALLS, REASONS
from ebtop.text import data_text, displayable

Row = dict[str, Any]
_GROUPS = ("read", "write", "discard")
_CUT = "\N{HORIZONTAL ELLIPSIS}".encode()
_MOST_ERROR = -4095


def json_slow(row: Row, text: bytes) -> dict[str, Any]:
    slow = _unpacked(row, text)
    kind = SLOW_KINDS[slow["kind"]]
    file = _file(slow)
    return {
        "kind": kind,
        "name": _name(slow),
        "duration_ns": slow["duration_ns"],
        "file": None if file is None else data_text(file),
        "connection": _connection(slow),
        "syscall": _call(slow),
        "result": slow["result"] if kind == "syscall" else None,
        "error": _error(slow),
        "device": data_text(slow["parts"]) if _about(slow) == "disk" else None,
        "bytes": slow["bytes"] if kind == "disk" else None,
    }


def text_slow(row: Row, text: bytes, ascii: bool) -> str:
    """`slow syscall read 12.3ms /var/lib/data = 4096`."""
    slow = _unpacked(row, text)
    kind = SLOW_KINDS[slow["kind"]]
    parts = ["slow", kind, _name(slow)]
    if kind == "wait":
        parts.append(f"in {_call(slow) or 'the kernel'}")
    parts.append(units.duration(slow["duration_ns"]))
    about = slow["parts"] if _about(slow) == "disk" else _file(slow)
    if about:
        parts.append(displayable(about, ascii))
    parts.append(_connection(slow) or "")
    if kind == "syscall":
        error = _error(slow)
        parts.append(f"= {slow['result']}" if error is None else f"= -1 {error}")
    if kind == "disk":
        parts.append(f"{slow['bytes']} bytes")
    return " ".join(part for part in parts if part)


def is_idle(text: bytes) -> bool:
    """Whether the call is made to wait for an event: its duration then means nothing."""
    if len(text) != SLOW.stride:  # there was no room for all of it
        return False
    slow = SLOW.unpack(text, 0)
    return SLOW_KINDS[slow["kind"]] == "syscall" and _name(slow) in _IDLE


_IDLE = frozenset(" ".join(CALLS[why] for why in ("condition", "sleep", "poll")).split())


def _unpacked(row: Row, text: bytes) -> Row:
    raw = text[row["text"] : row["text"] + row["text_bytes"]]
    slow = SLOW.unpack(raw, 0)
    # a text of several parts is cut at its first NUL by that
    start = SLOW.fields["parts"].offset
    slow["all_parts"] = raw[start : start + int(SLOW.fields["parts"].code[:-1])]
    return slow


def _about(slow: Row) -> str:
    return SLOW_ABOUT[slow["about"]]


def _call(slow: Row) -> Optional[str]:
    number = slow["call"] - 1
    return None if number < 0 else name_of(number % COMPAT, number >= COMPAT)


def _name(slow: Row) -> str:
    kind = SLOW_KINDS[slow["kind"]]
    if kind == "wait":
        return REASONS[slow["evidence"]]
    if kind == "disk":
        return _GROUPS[slow["evidence"]] if slow["evidence"] < len(_GROUPS) else "other"
    return _call(slow) or "syscall_?"


def _error(slow: Row) -> Optional[str]:
    failed = SLOW_KINDS[slow["kind"]] == "syscall" and _MOST_ERROR <= slow["result"] < 0
    return error_name(slow["result"]) if failed else None


def _file(slow: Row) -> Optional[bytes]:
    """The path, whose parts are stored from the file up to the root; None if unknown."""
    if _about(slow) == "name":
        return bytes(slow["parts"]) or None
    if _about(slow) != "file":
        return None
    raw: bytes = slow["all_parts"]
    parts = [raw[at : at + FILE_PART_BYTES] for at in range(0, len(raw), FILE_PART_BYTES)]
    names = []
    for part in parts:
        name = part.split(b"\0", 1)[0]
        if name:
            names.append(name + (_CUT if len(name) == FILE_PART_BYTES - 1 else b""))
    if not names:
        return None
    return (b"/" if slow["whole"] else _CUT + b"/") + b"/".join(reversed(names))


def _connection(slow: Row) -> Optional[str]:
    if _about(slow) != "socket" or not slow["family"]:
        return None
    ends = {**slow, "state": 0}
    return f"{place(ends, 'saddr')} -> {place(ends, 'daddr')}"
