# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sentences that must hold of the adaptive refresh. Nothing here waits."""

from __future__ import annotations

from dataclasses import replace

from ebtop.control.pace import BURST, COSTLY, LOADED, Pace, Signs, clamp, next_pace, with_base

CALM = Signs(events_per_s=10, load1=0.5, cpus=4, refresh_s=0.005)
PACE = Pace(interval_s=2.0, base_s=2.0, min_s=0.5, max_s=8.0)


def settle(pace: Pace, signs: Signs, steps: int = 30) -> Pace:
    for _ in range(steps):
        pace = next_pace(pace, signs)
    return pace


def test_calm_means_exactly_the_base() -> None:
    assert settle(PACE, CALM) == PACE
    assert settle(replace(PACE, interval_s=7.3, reason=LOADED), CALM) == PACE


def test_burst_shortens_down_to_the_users_bound() -> None:
    burst = replace(CALM, events_per_s=5000)
    first = next_pace(PACE, burst)
    assert 0.5 < first.interval_s < 2.0 and first.reason == BURST
    assert settle(PACE, burst).interval_s == 0.5


def test_loaded_machine_lengthens_even_in_a_burst() -> None:
    pace = settle(PACE, replace(CALM, events_per_s=5000, load1=9.0))
    assert (pace.interval_s, pace.reason) == (8.0, LOADED)


def test_slow_refresh_lengthens() -> None:
    pace = next_pace(PACE, replace(CALM, refresh_s=0.6))
    assert pace.interval_s > 2.0 and pace.reason == COSTLY


def test_unknown_load_is_no_reason() -> None:
    assert next_pace(PACE, replace(CALM, load1=None)) == PACE


def test_no_flapping_at_the_mark() -> None:
    pace = next_pace(PACE, replace(CALM, events_per_s=1001))
    below = replace(CALM, events_per_s=990)
    assert next_pace(pace, below).reason == BURST
    assert next_pace(PACE, below).reason == ""


def test_bounds_that_leave_no_room_give_no_reason() -> None:
    fixed = Pace(interval_s=2.0, base_s=2.0, min_s=2.0, max_s=2.0)
    for signs in (replace(CALM, events_per_s=1e6), replace(CALM, load1=1e3)):
        assert settle(fixed, signs) == fixed


def test_base_outside_the_bounds_is_still_allowed() -> None:
    assert clamp(Pace(base_s=20.0, max_s=10.0), 20.0) == 20.0


def test_new_base_holds_at_once_and_within_bounds() -> None:
    assert with_base(PACE, 1.0).interval_s == 1.0
    assert with_base(PACE, 0.01).interval_s == PACE.min_s
