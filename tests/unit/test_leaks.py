# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Who leaks is named, and what it rests on is true; who is steady, or starts up, is not."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebtop.model.leaks import (
    LEAST_SPAN_S,
    MANY_MAPPINGS,
    Point,
    fell,
    fit,
    judge,
    judge_mappings,
)

MIB = 1 << 20
BASE = 100 * MIB
Shape = Callable[[float], float]


def points(resident: Shape, unreturned: Shape, seconds: int = 60, every: float = 1) -> list[Point]:
    times = [every * at for at in range(int(seconds / every) + 1)]
    return [Point(t, int(BASE + resident(t)), int(unreturned(t))) for t in times]


def steadily(t: float) -> float:
    return t * MIB / 4


def test_steady_growth_that_is_not_given_back_is_a_leak() -> None:
    leak = judge(points(steadily, steadily))
    assert leak is not None
    assert leak.bytes_per_s == pytest.approx(MIB / 4) and leak.r2 == pytest.approx(1)
    assert (leak.span_s, leak.grown_bytes, leak.unreturned_bytes) == (60, 15 * MIB, 15 * MIB)
    assert leak.limit is leak.room_bytes is leak.full_s is None


def test_steps_and_noise_do_not_hide_a_leak() -> None:
    chance = random.Random(3)

    def uneven(t: float) -> float:
        return steadily(t // 5 * 5) + chance.uniform(0, MIB / 3)

    assert judge(points(uneven, lambda t: steadily(t // 5 * 5)))


STEADY: dict[str, tuple[Shape, Shape]] = {
    "flat": (lambda t: 0, lambda t: 0),
    "noise": (lambda t: random.Random(t).uniform(0, MIB), lambda t: 0),
    "saw": (lambda t: t % 7 * MIB, lambda t: t % 7 * MIB),
    "slow saw": (lambda t: t % 31 * MIB, lambda t: t % 31 * MIB),
    "start": (lambda t: min(t, 20) * MIB, lambda t: min(t, 20) * MIB),
    "long start": (lambda t: min(t, 40) * MIB, lambda t: min(t, 40) * MIB),
    "curve": (lambda t: 60 * MIB * (1 - math.exp(-t / 20)), lambda t: 60 * MIB),
    "slow curve": (
        lambda t: 60 * MIB * (1 - math.exp(-t / 30)),
        lambda t: 60 * MIB * (1 - math.exp(-t / 30)),
    ),
    "touches what it has": (steadily, lambda t: 0),
    "one step": (lambda t: 20 * MIB * (t > 30), lambda t: 20 * MIB * (t > 30)),
    "reserves": (lambda t: 0, lambda t: t * 64 * MIB),
    "shrinks": (lambda t: -steadily(t), lambda t: -steadily(t)),
    "little": (lambda t: t * 1000, lambda t: t * 1000),
    "cache fills and stays": (
        lambda t: min(t * t / 10, 30) * MIB + t % 3 * 4096, lambda t: min(t * t / 10, 30) * MIB,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STEADY)
def test_steady_programs_are_not_named(name: str) -> None:
    resident, unreturned = STEADY[name]
    for seconds in range(2, 61):
        assert judge(points(resident, unreturned, seconds)) is None, seconds


def test_never_from_one_sample_nor_from_a_short_time() -> None:
    whole = points(steadily, steadily)
    assert judge([]) is None and judge(whole[:1]) is None
    assert judge(points(lambda t: t * 9e9, lambda t: t * 9e9, int(LEAST_SPAN_S) - 1)) is None
    assert judge(points(steadily, steadily, 60, every=30)) is None
    assert judge(whole[: int(LEAST_SPAN_S) + 1])


def test_who_gave_memory_back_leaks_only_beyond_what_it_had() -> None:
    whole = points(steadily, steadily)
    assert judge(whole, given_back_from=200 * MIB) is None
    assert judge(whole, given_back_from=101 * MIB)


@given(st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(-(1 << 40), 1 << 40)), max_size=80))
def test_whatever_is_said_rests_on_the_points(values: list[tuple[int, int]]) -> None:
    made = [Point(float(at), *value) for at, value in enumerate(values)]
    leak = judge(made)
    if leak is not None:
        assert leak.grown_bytes == made[-1].resident - made[0].resident >= MIB
        assert leak.span_s >= LEAST_SPAN_S and 0.9 <= leak.r2 <= 1 and leak.bytes_per_s > 0
        assert leak.unreturned_bytes * 2 >= leak.grown_bytes


@given(
    st.floats(-1e6, 1e6), st.floats(-1e6, 1e6),
    st.lists(st.integers(0, 1000), min_size=2, max_size=50, unique=True),
)  # fmt: skip
def test_fit_finds_a_straight_line(slope: float, base: float, xs: list[int]) -> None:
    found, r2 = fit([float(x) for x in xs], [base + slope * x for x in xs])
    if abs(slope) > 1:
        assert found == pytest.approx(slope, rel=1e-3) and r2 == pytest.approx(1, abs=1e-3)
    assert 0 <= r2 <= 1


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)), min_size=1))
def test_fit_never_fails(pairs: list[tuple[float, float]]) -> None:
    slope, r2 = fit([x for x, _ in pairs], [y for _, y in pairs])
    assert 0 <= r2 <= 1 and math.isfinite(slope)


def test_a_fall_is_more_than_a_wobble() -> None:
    assert fell(100 * MIB, 80 * MIB) and not fell(100 * MIB, 99 * MIB)
    assert not fell(MIB, MIB // 2) and not fell(0, 5)


def test_many_small_mappings_are_named_and_many_large_ones_are_not() -> None:
    many = judge_mappings(MANY_MAPPINGS, MANY_MAPPINGS * 8192, 65530)
    assert many is not None and (many.average_bytes, many.limit) == (8192, 65530)
    assert judge_mappings(MANY_MAPPINGS - 1, 1 << 20, 65530) is None
    assert judge_mappings(MANY_MAPPINGS, MANY_MAPPINGS * MIB, 65530) is None
    assert judge_mappings(60000, 60000 * MIB, 65530) is not None
    assert judge_mappings(0, 0, None) is None
