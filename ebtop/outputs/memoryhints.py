# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the hints on a row's memory: sizes of allocations, fragmentation, and a leak in words.

Leaks need a history, which is model/memorywatch.py's; a snapshot carries the result.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Optional

from ebtop.model.layout import KNOWN_BIT, SIZE_CLASSES, Table
from ebtop.model.leaks import LEAST_SPAN_S, Fragments, Leak, Watch, judge_mappings
from ebtop.model.process_table import memory_part
from ebtop.model.rows import column_view
from ebtop.sources.memorylimits import most_mappings
from ebtop.units import UNKNOWN, long_duration, size

Row = dict[str, Any]
_VIRTUAL = 1 << KNOWN_BIT["virtual_bytes"]
_limit = lru_cache(maxsize=1)(most_mappings)


def size_classes(sizes: Table, row: Row) -> tuple[int, ...]:
    """How many allocations of each class; empty when there were none."""
    at = _index(sizes).get((row["pid"], row["start_ns"]))
    if at is None:
        return ()
    found = sizes.row(at)
    return tuple(found[f"sizes_{index}"] for index in range(SIZE_CLASSES))


@lru_cache(maxsize=1)
def _index(sizes: Table) -> dict[tuple[int, int], int]:
    pids, starts = column_view(sizes, "pid"), column_view(sizes, "start_ns")
    return {(pid, starts[index]): index for index, pid in enumerate(pids)}


def fragments_of(row: Row) -> Optional[Fragments]:
    """None where there are few mappings, or their number is unknown."""
    mappings = memory_part(row, "mappings")
    if mappings is None or not row["known"] & _VIRTUAL:
        return None
    return judge_mappings(mappings, row["virtual_bytes"], _limit())


def leak_words(leak: Leak) -> list[str]:
    """The leak in words: the evidence, and when memory will be full."""
    full = UNKNOWN if leak.full_s is None else long_duration(leak.full_s)
    room = UNKNOWN if leak.room_bytes is None else size(leak.room_bytes)
    whose = {"machine": "the machine has", "cgroup": "its cgroup has"}.get(leak.limit or "", "")
    words = [
        f"grows {size(leak.bytes_per_s)} a second, steadily (r2 {leak.r2:.2f}) for"
        f" {long_duration(leak.span_s)}",
        f"{size(leak.grown_bytes)} more anonymous memory, while {size(leak.unreturned_bytes)} were"
        " mapped and not unmapped",
    ]
    if whose:
        words.append(f"{whose} {room} left: full in {full} if it goes on")
    return words


def watch_words(watch: Watch | None) -> str:
    """Why the process is not suspected, or not yet."""
    if watch is None:
        return "no: it does not grow as a leak does"
    span = long_duration(watch.span_s)
    if not watch.is_enough:
        return f"watching {watch.span_s:.0f} of {LEAST_SPAN_S:.0f} s"
    if watch.is_shared:
        return (
            f"no: {size(watch.shared_bytes)} more in {span} are shared memory, which others may see"
        )
    if watch.is_untouched:
        return (
            f"no: {size(watch.unreturned_bytes)} more in {span} are mapped and never touched:"
            " address space, not memory"
        )
    return "no: it does not grow as a leak does"


def fragments_words(found: Fragments) -> list[str]:
    limit = "" if found.limit is None else f"; vm.max_map_count is {found.limit}"
    return [f"{found.mappings} mappings of {size(found.average_bytes)} on average{limit}"]
