# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the bars of the header: one a CPU while there is room, one character a CPU after that.

A bar always carries its number too: nothing is told by length or colour alone.
"""

from __future__ import annotations

from typing import Any

from ebtop import units
from ebtop.model.snapshot import Snapshot
from ebtop.sources.procparse import CPU_PARTS
from ebtop.ui.state import ViewState
from ebtop.ui.views.line import Line, Span, Style
from ebtop.units import UNKNOWN

_LEAST_BAR = 18
_MOST_COLUMNS = 8


def bar(label: str, share: float | None, number: str, width: int, style: Style) -> list[Span]:
    """`label[|||||   number]`; `share` is 0..1."""
    inside = max(width - len(label) - 2, len(number))
    filled = 0 if share is None else round(min(max(share, 0.0), 1.0) * inside)
    text = ("|" * filled).ljust(inside - len(number))[: inside - len(number)] + number
    return [
        Span(label, Style.LABEL),
        Span("[", Style.BAR_FRAME),
        Span(text[:filled], style),
        Span(text[filled:], Style.BAR_EMPTY),
        Span("]", Style.BAR_FRAME),
    ]


def cpu_lines(snapshot: Snapshot, state: ViewState, width: int, most: int) -> list[Line]:
    """The bars in columns, top to bottom; too many CPUs become a strip of digits."""
    cpus = [(row["cpu"], _share(row)) for row in snapshot.cpus.rows()]
    columns = max(1, min(_MOST_COLUMNS, width // _LEAST_BAR, len(cpus)))
    if len(cpus) <= 4:
        columns = min(columns, 2)
    if len(cpus) == 0:
        return [_whole(snapshot, min(width, 60))]
    height = -(-len(cpus) // columns)
    if height > min(most - 1, 4 if width < 160 else 6):
        return _strip(snapshot, cpus, width, max(1, most - 1))
    columns = -(-len(cpus) // height)
    each = min((width + 1) // columns - 1, 60)
    label = len(str(cpus[-1][0]))
    lines = []
    for first in range(height):
        spans: list[Span] = []
        for number, share in cpus[first::height]:
            text = UNKNOWN if share is None else f"{share * 100:.1f}%"
            spans += bar(f"{number:>{label}}", share, text, each, Style.BAR_BUSY)
            spans.append(Span(" "))
        lines.append(tuple(spans[:-1]))
    return lines


def _share(row: dict[str, Any]) -> float | None:
    whole = sum(row[name + "_ns"] for name in CPU_PARTS)
    idle = row["idle_ns"] + row["iowait_ns"]
    return (whole - idle) / whole if row["known"] and whole else None


def _whole(snapshot: Snapshot, width: int) -> Line:
    percent, cpus = snapshot.system.cpu_percent, max(snapshot.host.cpus, 1)
    share = None if percent is None else percent / 100 / cpus
    text = UNKNOWN if percent is None else f"{percent:.1f}% of {cpus * 100}%"
    return tuple(bar("CPU", share, text, width, Style.BAR_BUSY))


def _strip(
    snapshot: Snapshot, cpus: list[tuple[int, float | None]], width: int, most: int
) -> list[Line]:
    """A digit a CPU: tenths of the time it was busy; `-` where that is unknown."""
    digits = "".join(
        UNKNOWN if share is None else str(min(int(share * 10), 9)) for _, share in cpus
    )
    room = max(width - 12, 10)
    lines = [_whole(snapshot, min(width, 60))]
    for start in range(0, len(digits), room):
        if len(lines) == most and start + room < len(digits):
            rest = len(digits) - start
            lines.append((Span(f"and {rest} more CPUs", Style.DIM),))
            break
        label = f"{cpus[start][0]:>4}- /10 "
        lines.append((Span(label, Style.LABEL), Span(digits[start : start + room])))
    return lines


def memory_bar(snapshot: Snapshot, state: ViewState, width: int) -> Line:
    """What is not available counts as used: the kernel's own estimate."""
    total = snapshot.host.memory_total_bytes
    available = snapshot.host.memory_available_bytes
    if not total or available is None:
        return tuple(bar("Mem", None, UNKNOWN, width, Style.BAR_MEMORY))
    used = total - available
    text = f"{units.size(used)}/{units.size(total)}"
    return (*bar("Mem", used / total, text, width, Style.BAR_MEMORY), *_beside_memory(snapshot))


def _beside_memory(snapshot: Snapshot) -> list[Span]:
    """Swap and huge pages, where the machine has any."""
    host, spans = snapshot.host, []
    for label, total, free in (
        ("swap", host.swap_total_bytes, host.swap_free_bytes),
        ("huge pages", host.huge_pages_total_bytes, host.huge_pages_free_bytes),
    ):
        if total and free is not None:
            spans.append(Span(f"  {label} ", Style.LABEL))
            spans.append(Span(f"{units.size(total - free)}/{units.size(total)}"))
    return spans
