# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the drawing of a latency histogram: a line a bucket, with bars, counts and percentiles.

It serves the panel and the printed text alike. What is counted, and over which time, the caller
says beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ebtop import units
from ebtop.ui.views.line import Line, Span, Style, line

_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL = "█"
_WIDE = 44
"""From here on there is room for both ends of a bucket."""
_LEAST_BAR = 4
_MARKS = {"p50": Style.GOOD, "p95": Style.NOTICE, "p99": Style.WARNING}


def histogram_lines(
    buckets: Sequence[int],
    width: int,
    percentiles: Mapping[str, int],
    ascii: bool = False,
    height: int | None = None,
) -> list[Line]:
    """The range of buckets that occurs, a line each: `[1.02µs, 2.05µs)  17 ████▌ p50`.

    Bucket i counts [2^i, 2^(i+1)) ns, bucket 0 also 0. `percentiles` are nanoseconds by name, and
    mark the bucket they lie in. Where `height` is too small, neighbours share a line.
    """
    used = [index for index, count in enumerate(buckets) if count]
    if height is not None and height < 1:
        return []
    if not used:
        return [line("no call returned", Style.DIM)]
    first, last = used[0], used[-1]
    step = 1 if height is None else -(-(last + 1 - first) // height)
    starts = range(first, last + 1, step)
    sums = [sum(buckets[start : start + step]) for start in starts]
    marks = [_marks(percentiles, start, start + step) for start in starts]
    digits = max(len(units.count(number)) for number in sums)
    room = max((sum(len(mark.text) for mark in marked) for marked in marks), default=0)
    lines = []
    for start, number, marked in zip(starts, sums, marks):
        label = f"{_label(start, start + step, width, ascii)} {units.count(number):>{digits}} "
        cells = max(_LEAST_BAR, width - len(label) - room)
        drawn = bar(number / max(sums), cells, ascii)
        lines.append((Span(label, Style.LABEL), Span(drawn, Style.BAR_BUSY), *marked))
    return lines


def bar(share: float, cells: int, ascii: bool = False) -> str:
    """So much of `cells`, in eighths of one; what is not 0 is never drawn as nothing."""
    if ascii:
        whole = round(share * cells)
        return "#" * whole if whole or not share else "."
    eighths = round(share * cells * 8)
    whole, rest = divmod(eighths if eighths or not share else 1, 8)
    return _FULL * whole + (_EIGHTHS[rest] if rest else "")


def _marks(percentiles: Mapping[str, int], low: int, high: int) -> tuple[Span, ...]:
    """The percentiles that lie in these buckets, by name."""
    return tuple(
        Span(" " + name, _MARKS.get(name, Style.NOTICE))
        for name, ns in percentiles.items()
        if low <= max(ns.bit_length() - 1, 0) < high
    )


def _label(low: int, high: int, width: int, ascii: bool) -> str:
    bottom = units.latency(1 << low if low else 0, ascii)
    if width < _WIDE:
        return f"{bottom:>6}"
    return f"[{bottom:>6}, {units.latency(1 << high, ascii):>6})"
