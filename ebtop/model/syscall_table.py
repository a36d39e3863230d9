# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the table of system calls: its columns as data, and the order of its rows.

The views decide what is drawn and where. The rows come from the collector, one per system call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ebtop import units
from ebtop.model.layout import Table
from ebtop.model.process_table import Row
from ebtop.model.syscallnames import name_in
from ebtop.units import UNKNOWN

BUCKETS = tuple(f"histogram_{index}" for index in range(64))
PERCENTILES = ("p50", "p95", "p99")
NAME_WIDTH = 18


@dataclass(frozen=True)
class SyscallColumn:
    """One column of numbers. `phrase` says in words what it sorts by, `help` what it holds."""

    name: str
    title: str
    width: int
    value: Callable[[Row], float | None]
    write: Callable[[float, bool], str]
    phrase: str
    importance: int
    help: str


def call_name(row: Row) -> str:
    """The name; a 32-bit call is marked as one."""
    name = name_in(row)
    return name + " (32)" if row["compat"] else name


def histogram(row: Row) -> list[int]:
    """The 64 counts."""
    return [row[name] for name in BUCKETS]


def percentiles(row: Row) -> dict[str, int]:
    """Nanoseconds by name; empty where no call is in the histogram."""
    return {name: row[name + "_ns"] for name in PERCENTILES} if _is_timed(row) else {}


def order(table: Table, sort: str, reverse: bool = False) -> list[int]:
    """The rows, largest first unless reversed; an unknown value is last either way."""
    column = BY_NAME[sort]
    rows = list(table.rows())
    values = {index: column.value(row) for index, row in enumerate(rows)}
    known = [index for index, value in values.items() if value is not None]
    known.sort(key=lambda index: values[index] or 0, reverse=not reverse)
    return known + [index for index, value in values.items() if value is None]


def fitting(width: int) -> tuple[SyscallColumn, ...]:
    """The columns that fit beside the name; the least important go first."""
    kept = list(COLUMNS)
    while kept and sum(column.width + 1 for column in kept) > width - NAME_WIDTH:
        kept.remove(min(kept, key=lambda column: column.importance))
    return tuple(kept)


def heading(column: SyscallColumn, seconds: float | None = None) -> str:
    """The title; of what is counted by the second where `seconds` are given."""
    return column.title + ("/S" if column.name in _COUNTED and seconds else "")


def shown(column: SyscallColumn, row: Row, ascii: bool, seconds: float | None = None) -> str:
    """The value in words, `-` where there is none. With `seconds`, the time that the row covers,
    what is counted is by the second."""
    value = column.value(row)
    if value is not None and column.name in _COUNTED and seconds:
        return units.rate(value / seconds)
    return UNKNOWN if value is None else column.write(value, ascii)


def _is_timed(row: Row) -> bool:
    """Whether a call of this kind has returned, so that latencies exist."""
    return bool(row["max_ns"] or any(row[name] for name in BUCKETS))


def _count(number: float, ascii: bool) -> str:
    return units.count(number)


def _field(name: str) -> Callable[[Row], float | None]:
    return lambda row: row[name]


def _timed(name: str) -> Callable[[Row], float | None]:
    return lambda row: row[name] if _is_timed(row) else None


def _average(row: Row) -> float | None:
    return row["total_ns"] / row["calls"] if row["calls"] and _is_timed(row) else None


def _column(
    name: str, value: Callable[[Row], float | None], importance: int, phrase: str, help: str
) -> SyscallColumn:
    write, width = (_count, 8) if name in _COUNTED else (units.latency, 7)
    return SyscallColumn(name, name.upper(), width, value, write, phrase, importance, help)


_COUNTED = ("calls", "errors")
_NEAR = "at most 6.25 % off"
COLUMNS = (
    _column("calls", _field("calls"), 100, "calls", "how often it was called"),
    _column("errors", _field("errors"), 80, "errors", "calls that failed"),
    _column("total", _timed("total_ns"), 90, "total time", "time inside it, waits included"),
    _column("avg", _average, 60, "average", "total time by calls"),
    _column("p50", _timed("p50_ns"), 75, "median", f"half of the calls took less; {_NEAR}"),
    _column("p95", _timed("p95_ns"), 65, "95th percentile", f"95 % took less; {_NEAR}"),
    _column("p99", _timed("p99_ns"), 70, "99th percentile", f"99 % took less; {_NEAR}"),
    _column("max", _timed("max_ns"), 55, "longest call", "the longest, exact"),
)
BY_NAME = {column.name: column for column in COLUMNS}
