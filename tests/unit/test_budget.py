# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The budget sheds seldom, by one, and takes back. Its clock is the sum of what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable, Optional

from hypothesis import given, settings
from hypothesis import strategies as st

from ebtop.control.budget import (
    CALM_S,
    FIRST_WAIT_S,
    MOST_WAIT_S,
    WINDOW_S,
    Budget,
    Look,
)
from ebtop.probes import STANDING

Costs = Mapping[str, Optional[float]]
QUIET: Costs = {"syscall": 0.1, "vfs": 0.05, "block": 0.01}
STORM: Costs = {"syscall": 5.0, "vfs": 0.3, "block": 0.01}


def run(
    budget: Budget,
    seconds: float,
    costs: Callable[[float], Costs] | Costs,
    own: float = 0.2,
    every: float = 1.0,
) -> list[frozenset[str]]:
    """What is shed after each interval, when shed probes cost nothing."""
    history = []
    for step in range(int(seconds / every)):
        now = costs(step * every) if callable(costs) else costs
        running = {name: cost for name, cost in now.items() if name not in budget.shed}
        budget.look(Look(every, own, running))
        history.append(frozenset(budget.shed))
    return history


def changes(history: list[frozenset[str]]) -> int:
    return sum(a != b for a, b in zip([frozenset(), *history], history))


def test_nothing_is_shed_within_the_budget() -> None:
    assert changes(run(Budget(2.0), 1000, QUIET)) == 0


def test_dearest_goes_first_and_alone() -> None:
    budget = Budget(2.0)
    history = run(budget, 20, {"vfs": 1.5, "syscall": 1.0, "block": 0.1})
    assert next(names for names in history if names) == {"vfs"}
    assert set().union(*history) == {"vfs"}


def test_same_cost_goes_by_order_and_so_does_a_cost_that_is_not_known() -> None:
    same = Budget(1.0)
    run(same, 4, {"vfs": 1.0, "block": 1.0, "stacks": 1.0, "syscall": 1.0})
    assert list(same.shed) == ["stacks"]
    unknown = Budget(1.0)
    run(unknown, 9, {"vfs": None, "block": None, "syscall": None}, own=3.0)
    assert list(unknown.shed) == ["syscall", "vfs"]


def test_one_dear_interval_is_no_reason() -> None:
    history = run(Budget(2.0), 60, lambda at: {"syscall": 4.0 if at == 30 else 0.1})
    assert changes(history) == 0


def test_what_relieves_nobody_is_not_shed() -> None:
    budget = Budget(2.0)
    assert changes(run(budget, 60, {"syscall": 0.01, "vfs": 0.0}, own=5.0)) == 0
    assert budget.stuck
    run(budget, 5, {"syscall": 0.01, "vfs": 0.0})
    assert not budget.stuck


def test_storm_sheds_within_seconds_and_calm_takes_all_back() -> None:
    budget = Budget(2.0)
    history = run(budget, 40, lambda at: STORM if at < 12 else QUIET)
    assert history[2] == {"syscall"}
    assert not history[-1]
    assert changes(history) <= 4


def test_lasting_storm_is_tried_seldom_and_ever_more_so() -> None:
    budget = Budget(2.0)
    history = run(budget, 3600, STORM)
    tried = [at for at, (a, b) in enumerate(zip(history, history[1:])) if a and not b]
    gaps = [b - a for a, b in zip(tried, tried[1:])]
    assert all(b >= a for a, b in zip(gaps, gaps[1:]))
    assert MOST_WAIT_S <= gaps[-1] < MOST_WAIT_S + 10
    exposed = sum(not names for names in history)
    assert exposed < 0.02 * len(history)


def test_long_calm_makes_the_wait_short_again() -> None:
    budget = Budget(2.0)
    run(budget, 400, STORM)
    run(budget, MOST_WAIT_S + CALM_S + 20, QUIET)
    assert not budget.shed
    history = run(budget, 30, lambda at: STORM if at < 4 else QUIET)
    shed = [at for at, names in enumerate(history) if names]
    assert shed and len(shed) <= FIRST_WAIT_S + 1


def test_no_room_keeps_it_away() -> None:
    budget = Budget(2.0)
    run(budget, 5, STORM)
    history = run(budget, 300, QUIET, own=1.8)
    assert all(history), "1.8 of 2 is within the budget, but there is no room to try"


def test_cost_of_loading_is_no_cost_of_running() -> None:
    budget = Budget(2.0)
    run(budget, 3, STORM)
    assert list(budget.shed) == ["syscall"]
    run(budget, 1, {"vfs": 9.0})
    assert list(budget.shed) == ["syscall"]


PROBES = ("stacks", "syscall", "vfs", "block", "open")
LOADS = st.lists(
    st.tuples(
        st.integers(1, 60),
        st.floats(0, 3),
        st.dictionaries(st.sampled_from(PROBES), st.none() | st.floats(0, 10)),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=150)
@given(LOADS, st.sampled_from((0.1, 0.5, 1.0, 2.0, 5.0)), st.floats(0.2, 20))
def test_whatever_the_load_it_changes_seldom_and_by_one(
    loads: list[tuple[int, float, Costs]], percent: float, every: float
) -> None:
    budget = Budget(percent)
    before: frozenset[str] = frozenset()
    since_s = WINDOW_S
    for steps, own, costs in loads:
        for _ in range(steps):
            running = {name: cost for name, cost in costs.items() if name not in budget.shed}
            budget.look(Look(every, own, running))
            since_s += every
            now = frozenset(budget.shed)
            assert len(now ^ before) <= 1
            assert not now & set(STANDING)
            if now != before:
                assert since_s >= 1.0, "it was not watched for long enough"
                assert not now - before or now - before <= set(running)
                since_s = 0.0
            before = now


@settings(deadline=None, max_examples=100)
@given(LOADS, st.sampled_from((0.5, 2.0)))
def test_when_the_load_has_gone_all_come_back_and_stay(
    loads: list[tuple[int, float, Costs]], percent: float
) -> None:
    budget = Budget(percent)
    for steps, own, costs in loads:
        run(budget, steps, costs, own)
    calm: Costs = dict.fromkeys(PROBES, 0.01 * percent)
    run(budget, MOST_WAIT_S + 2 * len(PROBES) * WINDOW_S + 20, calm, own=0.1 * percent)
    assert not budget.shed
    assert changes(run(budget, 500, calm, own=0.1 * percent)) == 0


@settings(deadline=None, max_examples=100)
@given(st.floats(0, 1.9), st.floats(0.1, 30))
def test_steady_load_below_the_budget_changes_nothing(cost: float, every: float) -> None:
    assert changes(run(Budget(2.0), 100 * every, {"syscall": cost}, own=0.05, every=every)) == 0


def test_durations_are_sampled_before_the_probe_goes() -> None:
    budget = Budget(2.0, {"syscall": 16})
    history = run(budget, 9, STORM)
    steps = [sorted(names) for names in dict.fromkeys(history)]
    assert steps == [[], ["syscall:durations"], ["syscall", "syscall:durations"]]
    assert budget.every == {"syscall": 16}


def test_where_sampling_is_enough_nothing_is_shed() -> None:
    budget = Budget(2.0, {"syscall": 16})

    def costs(at: float) -> Costs:
        return {"syscall": 1.5 if budget.every else 2.5, "vfs": 0.1}

    history = run(budget, 20, costs)
    assert set(history) == {frozenset(), frozenset({"syscall:durations"})}
    run(budget, 60, QUIET)
    assert not budget.every and not budget.shed


def test_what_is_not_sampled_is_shed_at_once() -> None:
    budget = Budget(2.0, {"syscall": 16})
    run(budget, 4, {"vfs": 5.0, "syscall": 0.1})
    assert list(budget.shed) == ["vfs"]
