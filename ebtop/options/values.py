# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the values of options: parses one word into a number, a duration or a list, or says what is
allowed.

The meaning of an option, and the commands that take it, are in options.py and streams.py. An
ArgumentTypeError raised here becomes "argument X: <text>".
"""

from __future__ import annotations

import argparse
import math
import re

from ebtop.probes import CHOOSABLE
from ebtop.text import displayable

LEAST_DELAY_S, MOST_DELAY_S = 0.01, 86400.0
LEAST_PERCENT = 0.01
LEAST_BUFFER, MOST_BUFFER = 1 << 16, 1 << 30
EXCLUDED_MAX = 8
_MOST_PID = 1 << 22
_MOST_COUNT = (1 << 31) - 1
MOST_SIDE = 1000
_MOST_BYTES = (1 << 63) - 1
_MOST_SHOWN = 60
_MOST_UID = (1 << 32) - 2
_NS = {"ns": 1, "us": 1000, "µs": 1000, "ms": 1_000_000, "s": 1_000_000_000}
_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_NUMBER = re.compile(r"\+?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def shown(text: str) -> str:
    """A word of the user, in quotes, harmless, and no longer than a message may be."""
    cut = text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "..."
    return "'" + displayable(cut) + "'"


def wrong(text: str, allowed: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f"{shown(text)} is not {allowed}")


def probe_names(text: str) -> tuple[str, ...]:
    """`sched,life`: probes that may be chosen."""
    names = tuple(text.split(","))
    for name in names:
        if name not in CHOOSABLE:
            raise wrong(name, f"a probe; there are {', '.join(CHOOSABLE)}")
    return names


def delay(text: str) -> float:
    allowed = f"a number of seconds from {LEAST_DELAY_S:g} to {MOST_DELAY_S:g}"
    value = _number(text)
    if value is None or not LEAST_DELAY_S <= value <= MOST_DELAY_S:
        raise wrong(text, allowed)
    return value


def percent(text: str) -> float:
    value = _number(text)
    if value is None or not LEAST_PERCENT <= value <= 100:
        raise wrong(text, f"a part of the machine's CPU, from {LEAST_PERCENT:g} to 100 percent")
    return value


def latency(text: str) -> int:
    """`5ms`, `100us`, `2.5s`, `0`: nanoseconds."""
    digits = text.rstrip("nuµms")
    unit = text[len(digits) :]
    value = _number(digits)
    if value is None or not 0 <= value <= 1e9 or (unit not in _NS and (unit or value)):
        raise wrong(text, "a time with a unit, as in 5ms, 100us or 2s")
    return round(value * _NS.get(unit, 1))


def buffer_bytes(text: str) -> int:
    """A power of two, rounded up to: `4M`, `262144`."""
    digits = text.rstrip("kKmMgG")
    unit = text[len(digits) :].lower()
    plain = digits.isascii() and digits.isdigit() and len(digits) <= 10
    value = int(digits) * _BYTES[unit] if plain and unit in _BYTES else 0
    if not LEAST_BUFFER <= value <= MOST_BUFFER:
        raise wrong(text, "a size from 64K to 1G, as in 8M")
    return 1 << (value - 1).bit_length()


def least_bytes(text: str) -> int:
    """`4096`, `64K`, `1M`: so many bytes."""
    digits = text.rstrip("kKmMgG")
    unit = text[len(digits) :].lower()
    plain = digits.isascii() and digits.isdigit() and len(digits) <= 15
    value = int(digits) * _BYTES[unit] if plain and unit in _BYTES else -1
    if not 0 <= value <= _MOST_BYTES:
        raise wrong(text, "a number of bytes below 8E, as in 4096, 64K or 1M")
    return value


def integer(text: str, low: int, high: int, what: str) -> int:
    plain = text.isascii() and text.isdigit() and len(text) <= 10
    if not plain or not low <= int(text) <= high:
        raise wrong(text, f"{what} from {low} to {high}")
    return int(text)


def count(text: str) -> int:
    return integer(text, 1, _MOST_COUNT, "a whole number")


def pid(text: str) -> int:
    return integer(text, 1, _MOST_PID, "a pid")


def pids(text: str) -> tuple[int, ...]:
    return tuple(pid(part) for part in text.split(","))


def excluded(text: str) -> tuple[int, ...]:
    found = pids(text)
    if len(found) > EXCLUDED_MAX:
        raise wrong(text, f"a list of {EXCLUDED_MAX} pids at most")
    return found


def port(text: str) -> int:
    return integer(text, 1, 65535, "a port")


def uid(text: str) -> int:
    return integer(text, 0, _MOST_UID, "a user's number")


def size(text: str) -> tuple[int, int]:
    columns, x, rows = text.partition("x")
    if not x:
        raise wrong(text, "COLSxROWS, as in 160x50")
    what = "a number of cells"
    return integer(columns, 1, MOST_SIDE, what), integer(rows, 1, MOST_SIDE, what)


def _number(text: str) -> float | None:
    # float() alone would take blanks, other scripts' digits, "1_0", "nan" and "infinity"
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
    return value if math.isfinite(value) else None
