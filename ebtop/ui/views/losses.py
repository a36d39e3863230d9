# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the texts on losses: the name of each cause, and advice if a loss persists."""

from __future__ import annotations

from collections.abc import Mapping

from ebtop import units

CAUSES = {
    "ring_buffer": "ring buffer full",
    "thread_slots": "more threads than slots",
    "pid_range": "pid above pid_max",
    "clock_order": "clock out of order",
    "event_rows": "log full",
    "memory": "out of memory",
    "syscalls": "calls of threads without a slot, or not told",
    "forks": "births, ring buffer full",
    "disk_requests": "disk requests, table full or untold",
    "disk_owners": "disk requests of threads without a slot",
    "calls": "calls of the hooked function, not told of",
    "connections": "more connections than there is room for",
}
_LARGER = "filter by pid or user (f), or start with a larger --buffer-size"
_HELP = {
    "ring_buffer": _LARGER,
    "forks": _LARGER,
    "event_rows": "filter by pid or user (f); the counts are whole, only the log is not",
}
LASTING = 3
"""Intervals in a row after which a loss is said to last."""


def lost_text(lost: Mapping[str, int], now: Mapping[str, int]) -> str:
    """`LOST 4000: ring buffer full 4000 (now 120)`; empty when nothing was lost."""
    total, of_now = sum(lost.values()), sum(now.values())
    if not total and not of_now:
        return ""
    causes = ", ".join(
        f"{CAUSES.get(name, name)} {units.count(count)}" for name, count in lost.items() if count
    )
    text = f"LOST {units.count(max(total, of_now))}: {causes}"
    return text + (f" (now {units.count(of_now)})" if of_now else "")


def advice(now: Mapping[str, int]) -> str:
    """Advice on the current losses; empty if there is none."""
    return next((text for name, text in _HELP.items() if now.get(name)), "")
