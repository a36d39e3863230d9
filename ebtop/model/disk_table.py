# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the values of a row of the table of disks, by the names that the interface gives them.

The JSON sample and the panel of disks are both made from these; a value that is not known is None.
"""

from __future__ import annotations

from typing import Any, Callable, Optional

from ebtop.model.layout import DISK_FACTS
from ebtop.model.process_table import Row

_REQUESTS, _LATENCY, _QUEUE, _BUSY = (1 << DISK_FACTS.index(name) for name in (
    "requests", "latency", "queue", "busy"))  # fmt: skip

Value = Callable[[Row, float], Any]


def _plain(name: str, fact: int) -> Value:
    return lambda row, seconds: row[name] if row["known"] & fact else None


def _timed(name: str) -> Value:
    return lambda row, seconds: row[name] if row["known"] & _LATENCY and row["timed"] else None


def _average(row: Row, seconds: float) -> Optional[int]:
    known = row["known"] & _LATENCY and row["timed"]
    return row["latency_ns"] // row["timed"] if known else None


def _sequential(row: Row, seconds: float) -> Optional[float]:
    requests = row["reads"] + row["writes"]
    known = row["known"] & _LATENCY and requests
    return round(min(1.0, row["sequential"] / requests), 6) if known else None


def _depth(row: Row, seconds: float) -> Optional[float]:
    """How many requests were in flight, on average."""
    known = row["known"] & _QUEUE and seconds > 0
    return round(row["queue_ns"] / 1e9 / seconds, 3) if known else None


def _busy(row: Row, seconds: float) -> Optional[float]:
    if not row["known"] & _BUSY or seconds <= 0:
        return None
    percent: float = row["busy_ns"] / 1e7 / seconds
    return round(min(100.0, percent), 3)


VALUES: dict[str, Value] = {
    **{name: _plain(name, _REQUESTS) for name in ("read_bytes", "write_bytes", "reads", "writes")},
    "latency_p50_ns": _timed("latency_p50_ns"),
    "latency_p99_ns": _timed("latency_p99_ns"),
    "queue_depth": _depth,
    "busy_percent": _busy,
    "latency_min_ns": _timed("latency_min_ns"),
    "latency_avg_ns": _average,
    "latency_max_ns": _timed("latency_max_ns"),
    "queued_latency_p50_ns": _timed("queued_p50_ns"),
    "queued_latency_p99_ns": _timed("queued_p99_ns"),
    "sequential_ratio": _sequential,
    "errors": _plain("errors", _LATENCY),
    "discards": _plain("discards", _REQUESTS),
    "discard_bytes": _plain("discard_bytes", _REQUESTS),
}
"""By name, in the order of the JSON sample."""


def values(row: Row, seconds: float) -> dict[str, Any]:
    """All of them; `seconds` is the time that the row covers."""
    return {name: value(row, seconds) for name, value in VALUES.items()}
