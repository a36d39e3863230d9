# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns `ebtop diff`: what changed from some reports of `ebtop run --json` to others.

The files are untrusted data: every value may be missing or of another type.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any, Optional

from ebtop import units
from ebtop.errors import EbtopError, UsageError
from ebtop.options.options import Options
from ebtop.outputs.eventlines import json_line
from ebtop.runtime.stdio import locale_is_utf8, write_all
from ebtop.text import cells, data_text, displayable, fit

_MOST_BYTES = 1 << 28
_PIECE_BYTES = 1 << 20
_MOST_DIGITS = 24
_ROOM_BYTES = 3 << 30
"""The memory that all reports together may take: a small file can describe large data."""
_ENOUGH = 3
"""From this many reports per side on, changes can be distinguished from noise."""
_MACHINE = ("kernel", "cpu_model", "cpus", "governor", "cgroup_cpu_max", "cgroup_memory_max")


@dataclass(frozen=True)
class Change:
    """One figure before and after: medians where there are several."""

    name: str
    before: float
    after: float
    beyond_noise: Optional[bool]
    """None: too few reports to tell."""

    @property
    def percent(self) -> Optional[float]:
        if not self.before:
            return None
        value = (self.after - self.before) * 100 / self.before
        return value if math.isfinite(value) else None


def run(options: Options) -> int:
    """Writes what changed."""
    _bound_memory()
    before, after = ([_read(name) for name in word.split(",")] for word in options.words)
    found = list(changes(before, after))
    notes = list(differences(before[0], after[0]))
    if options.json:
        text = json_line(as_json(found, notes))
    else:
        text = as_text(found, notes, not locale_is_utf8())
    write_all(text.encode("utf-8"))
    return 0


def _read(path: str) -> dict[str, Any]:
    try:
        report = json.loads(
            _text(path), parse_int=_integer, parse_float=_fraction, parse_constant=_fraction
        )
    except (OSError, ValueError) as error:
        if isinstance(error, OSError):
            raise EbtopError(f"cannot read {displayable(path)}: {error.strerror}") from None
        raise UsageError(f"{displayable(path)} is not JSON") from None
    except (RecursionError, MemoryError):
        raise UsageError(f"{displayable(path)}: too large for a report") from None
    if not isinstance(report, dict) or report.get("type") != "run":
        raise UsageError(f"{displayable(path)} is not a report of ebtop run --json")
    return report


def _text(path: str) -> bytes:
    """The contents of the file, up to the largest size of a report: it may be an endless device."""
    pieces: list[bytes] = []
    left = _MOST_BYTES
    with open(path, "rb", buffering=0) as file:
        while left > 0:
            piece = file.read(_PIECE_BYTES)
            if not piece:
                return b"".join(pieces)
            if not pieces and not piece.lstrip().startswith(b"{"):
                raise ValueError("no object")
            pieces.append(piece)
            left -= len(piece)
    raise MemoryError


def _integer(digits: str) -> int:
    """The range of a 64-bit counter, and a little more."""
    if len(digits) > _MOST_DIGITS:
        raise ValueError(digits)
    return int(digits)


def _fraction(digits: str) -> float:
    """Rejects NaN, which JSON lacks, and numbers too large for a float."""
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(digits)
    return value


def _bound_memory() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY or soft > _ROOM_BYTES:
        resource.setrlimit(resource.RLIMIT_AS, (_ROOM_BYTES, hard))


def figures(report: dict[str, Any]) -> dict[str, float]:
    """The comparable numbers of a report, by name."""
    found: dict[str, float] = {}
    _add(found, "duration_ns", report.get("duration_ns"))
    total = report.get("total")
    for key, value in (total if isinstance(total, dict) else {}).items():
        if isinstance(value, dict):
            for part, number in value.items():
                _add(found, f"{key}.{part}", number)
        else:
            _add(found, key, value)
    calls = report.get("syscalls")
    for call in calls if isinstance(calls, list) else []:
        if isinstance(call, dict) and isinstance(call.get("name"), str):
            for key in ("calls", "errors", "total_ns", "p50_ns", "p99_ns"):
                _add(found, f"{call['name']}() {key}", call.get(key))
    return found


def _add(found: dict[str, float], name: str, value: Any) -> None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        found[name] = value


def changes(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[Change]:
    """The figures that both sides have, in the order of the reports."""
    old, new = ([figures(report) for report in side] for side in (before, after))
    for name in dict.fromkeys(key for one in (*old, *new) for key in one):
        was = _values(old, name)
        now = _values(new, name)
        if was is None or now is None:
            continue
        told = len(was) >= _ENOUGH and len(now) >= _ENOUGH
        apart = max(was) < min(now) or max(now) < min(was)
        yield Change(name, median(was), median(now), apart if told else None)


def _values(side: list[dict[str, float]], name: str) -> Optional[list[float]]:
    """The values in each report; a system call missing from a report was made 0 times."""
    missing = 0.0 if name.endswith((") calls", ") errors", ") total_ns")) else None
    values = [one.get(name, missing) for one in side]
    known = [value for value in values if value is not None]
    return known if len(known) == len(side) else None


def differences(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Warnings about differences that make the two sides hard to compare."""
    old, new = before.get("machine"), after.get("machine")
    for key in _MACHINE:
        pair = [one.get(key) if isinstance(one, dict) else None for one in (old, new)]
        if pair[0] != pair[1]:
            yield f"{key}: {pair[0]} / {pair[1]}"
    for key in ("command", "exit_code", "source"):
        if before.get(key) != after.get(key):
            yield f"{key}: {before.get(key)} / {after.get(key)}"


def as_json(found: list[Change], notes: list[str]) -> dict[str, Any]:
    return {
        "schema": 1,
        "type": "diff",
        "differences": [data_text(note) for note in notes],
        "changes": [
            {
                "name": data_text(one.name),
                "before": one.before,
                "after": one.after,
                "percent": None if one.percent is None else round(one.percent, 3),
                "beyond_noise": one.beyond_noise,
            }
            for one in found
        ],
    }


def as_text(found: list[Change], notes: list[str], ascii: bool) -> str:
    """The figures that changed; with several reports per side, those that changed beyond the
    noise."""
    lines = ["not the same: " + displayable(note, ascii) for note in notes]
    shown = [one for one in found if one.before != one.after and one.beyond_noise is not False]
    names = [displayable(one.name, ascii) for one in shown]
    width = min(40, max([6, *map(cells, names)]))
    lines.append(f"{fit('FIGURE', width)} {'BEFORE':>9} {'AFTER':>9} {'CHANGE':>8}")
    for name, one in zip(names, shown):
        change = "new" if one.percent is None else f"{one.percent:+.1f}%"
        values = (_shown(one.name, value, ascii) for value in (one.before, one.after))
        pair = " ".join(value.rjust(9) for value in values)
        lines.append(f"{fit(name, width)} {pair} {change:>8}")
    if not shown:
        lines.append("nothing")
    if all(one.beyond_noise is None for one in found):
        lines.append(f"noise is told from change with {_ENOUGH} reports each or more")
    return "".join(line.rstrip() + "\n" for line in lines)


def _shown(name: str, value: float, ascii: bool) -> str:
    if name.endswith("_ns") or name.startswith("wait_ns."):
        return units.latency(value, ascii)
    if name.endswith("_bytes"):
        return units.size(value)
    if name.endswith(("_percent", "_ratio")):
        return f"{value:.3g}"
    return units.count(value)
