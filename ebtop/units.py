# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns how numbers are written for people: in few cells, with a unit, in ASCII but for the µ.

Machines get plain numbers from `outputs/sample_json.py`; nothing here is ever parsed again.
"""

from __future__ import annotations

UNKNOWN = "-"
_BYTE_UNITS = "KMGTPE"
_US, _MS, _S = 1_000, 1_000_000, 1_000_000_000


def duration(ns: float) -> str:
    """At most six cells: 0, 870ns, 12us, 3.1ms, 450ms, 2.10s, 42.5s, 12m03s, 5h07m, 12d04h."""
    if ns < _US:
        return f"{int(ns)}ns" if ns > 0 else "0"
    if ns < _MS:
        return f"{int(ns / _US)}us"
    if ns < 10 * _MS:
        return f"{int(ns / _MS * 10) / 10:.1f}ms"
    if ns < _S:
        return f"{int(ns / _MS)}ms"
    if ns < 10 * _S:
        return f"{int(ns / _S * 100) / 100:.2f}s"
    return long_duration(ns / _S)


def long_duration(seconds: float) -> str:
    """The same from ten seconds up."""
    if seconds < 60:
        return f"{int(seconds * 10) / 10:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h{minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02d}h" if days < 100 else f"{days}d"


def latency(ns: float, ascii: bool = False) -> str:
    """Three digits in at most six cells: 0, 870ns, 1.02µs, 131µs, 1.05ms, 2.10s, 42.5s, 12m03s."""
    if ns < 999.5:
        return f"{ns:.0f}ns" if ns > 0 else "0"
    for unit in ("us" if ascii else "µs", "ms", "s"):
        ns /= 1000
        if ns < 999.5 and (unit != "s" or ns < 60):
            return f"{ns:#.3g}".rstrip(".") + unit
    return long_duration(ns)


def size(count: float) -> str:
    """Bytes in at most five cells: 0, 512B, 4.0K, 12M, 1023G."""
    if count < 1024:
        return f"{int(count)}B" if count else "0"
    for unit in _BYTE_UNITS:
        count /= 1024
        if count < 1023.5 or unit == _BYTE_UNITS[-1]:
            break
    return f"{count:.1f}{unit}" if count < 9.95 else f"{count:.0f}{unit}"


def count(number: float) -> str:
    """At most six cells: 99999, 123k, 4.6M."""
    if number < 100_000:
        return str(int(number))
    for unit in "kMGTP":
        number /= 1000
        if number < 999.5 or unit == "P":
            break
    return f"{number:.1f}{unit}" if number < 99.95 else f"{number:.0f}{unit}"


def percent(value: float) -> str:
    """At most six cells; 100 is one CPU."""
    return f"{value:.1f}" if value < 9999.95 else f"{value:.0f}"


def rate(per_second: float) -> str:
    """Events a second, at most six cells; what is not 0 does not look like 0."""
    if 0 < per_second < 0.095:
        return f"{per_second:.2f}" if per_second >= 0.005 else "<.01"
    return f"{per_second:.1f}" if 0 < per_second < 99.95 else count(round(per_second))
