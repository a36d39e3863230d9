# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sentences that must hold of what actions and prompts do to the view."""

from __future__ import annotations

import pytest
from synthetic import crowd

from ebtop.control.pace import Pace
from ebtop.model.filters import RowFilter
from ebtop.model.layout import WINDOWS
from ebtop.model.process_table import SETS
from ebtop.model.syscall_table import COLUMNS as SYSCALL_COLUMNS
from ebtop.probes import LOG_NAMES
from ebtop.ui.actions import accept_prompt, apply, filter_text, type_key
from ebtop.ui.keys import Action
from ebtop.ui.state import EVENTS, SYSCALLS, ViewState

SOMEBODY = (1, 1000003, 1)


def typed(state: ViewState, text: str) -> ViewState:
    for key in text:
        state = type_key(state, key)
    return state


def test_sorting_walks_round_all_columns_of_the_set() -> None:
    state, seen = ViewState(), []
    for _ in SETS[0]:
        state = apply(state, Action.SORT_NEXT)
        seen.append(state.sort)
    assert sorted(seen) == sorted(column.name for column in SETS[0])
    assert state.sort == ViewState().sort
    assert apply(apply(state, Action.SORT_NEXT), Action.SORT_PREVIOUS).sort == state.sort


def test_sort_keys_of_top_sort_largest_first() -> None:
    state = ViewState(sort="pid", reverse=True)
    for action, name in (
        (Action.SORT_CPU, "cpu"), (Action.SORT_MEMORY, "rss"), (Action.SORT_TIME, "oncpu"),
    ):  # fmt: skip
        after = apply(state, action)
        assert (after.sort, after.reverse) == (name, False)


@pytest.mark.parametrize(
    "action, field",
    [
        (Action.TOGGLE_PAUSE, "paused"),
        (Action.TOGGLE_TREE, "tree"),
        (Action.TOGGLE_CUMULATIVE, "cumulative"),
        (Action.TOGGLE_THREADS, "threads"),
        (Action.TOGGLE_ZOOM, "zoom"),
        (Action.TOGGLE_HELP, "help_open"),
        (Action.REVERSE_SORT, "reverse"),
    ],
)
def test_toggles_toggle(action: Action, field: str) -> None:
    once = apply(ViewState(), action)
    assert getattr(once, field) and apply(once, action) == ViewState()


def test_movement_is_a_wish() -> None:
    assert apply(ViewState(), Action.MOVE_DOWN).move == 1
    assert apply(ViewState(), Action.PAGE_UP).move_pages == -1


def test_command_lines_scroll_no_further_left_than_their_start() -> None:
    state = apply(ViewState(), Action.SCROLL_RIGHT)
    assert state.shift > 0
    assert apply(apply(state, Action.SCROLL_LEFT), Action.SCROLL_LEFT).shift == 0


def test_pace_moves_within_the_bounds_and_says_so() -> None:
    state = ViewState(pace=Pace(1.0, 1.0, 0.5, 2.0))
    faster = apply(apply(state, Action.REFRESH_FASTER), Action.REFRESH_FASTER)
    assert faster.pace.base_s == faster.pace.interval_s == 0.5
    assert faster.message == ("refresh every 0.5 s, the bound that was set", False)
    assert apply(state, Action.REFRESH_SLOWER).pace.base_s == 2.0


def test_any_action_answers_the_message() -> None:
    assert apply(ViewState(message=("x", True)), Action.MOVE_UP).message is None


def test_focus_closes_the_help() -> None:
    state = apply(ViewState(help_open=True), Action.FOCUS_EVENTS)
    assert (state.focus, state.help_open) == (EVENTS, False)


def test_tag_needs_a_row_and_goes_on_to_the_next() -> None:
    assert apply(ViewState(), Action.TAG).message is not None
    state = apply(ViewState(selected=SOMEBODY), Action.TAG)
    assert state.tagged == {SOMEBODY} and state.move == 1
    assert apply(state, Action.TAG).tagged == frozenset()


def test_back_undoes_one_thing_at_a_time() -> None:
    state = ViewState(
        help_open=True, zoom=True, search="x", tagged=frozenset({SOMEBODY}),
        filter=RowFilter(comm="y"), selected=SOMEBODY, scroll=3,
    )  # fmt: skip
    steps = 0
    while state != ViewState():
        before, state = state, apply(state, Action.GO_BACK)
        assert state != before
        steps += 1
    assert steps == 6


def test_prompt_is_edited() -> None:
    state = typed(apply(ViewState(), Action.EDIT_SEARCH), "ab\x7fc d\x17")
    assert state.prompt == ("search", "ac")
    assert type_key(state, "\x15").prompt == ("search", "")
    assert type_key(state, "KEY_LEFT") == state
    assert len(typed(state, "x" * 1000).prompt[1]) <= 256  # type: ignore[index]


def test_search_starts_at_the_next_match() -> None:
    state = accept_prompt(ViewState(prompt=("search", "sh")), crowd(5))
    assert (state.search, state.search_step, state.prompt) == ("sh", 1, None)
    assert apply(state, Action.SEARCH_PREVIOUS).search_step == -1
    assert apply(ViewState(), Action.SEARCH_NEXT).message is not None


def test_filter_of_a_missing_pid_says_so() -> None:
    state = accept_prompt(ViewState(prompt=("filter", "4194303")), crowd(5))
    assert state.filter.pids == {4194303}
    assert state.message == ("there is no process 4194303", True)
    assert accept_prompt(ViewState(prompt=("filter", "101")), crowd(5)).message is None


def test_empty_filter_clears() -> None:
    state = ViewState(filter=RowFilter(comm="x"), prompt=("filter", ""))
    assert not accept_prompt(state, crowd(5)).filter


def test_wrong_filter_keeps_the_prompt_and_what_was_typed() -> None:
    state = accept_prompt(ViewState(prompt=("filter", "port=x")), crowd(5))
    assert state.prompt == ("filter", "port=x") and state.message is not None


@pytest.mark.parametrize("text", ["", "pid=1,2", "user=root", "my name", "pid=3 user=a port=5 sh"])
def test_filter_is_offered_again_as_it_was_typed(text: str) -> None:
    wanted = RowFilter.parse(text)
    assert RowFilter.parse(filter_text(wanted)) == wanted


def test_sort_keys_in_the_panel_of_system_calls_sort_system_calls() -> None:
    state, seen = ViewState(focus=SYSCALLS), []
    for _ in SYSCALL_COLUMNS:
        state = apply(state, Action.SORT_NEXT)
        seen.append(state.syscall_sort)
        assert state.message is not None
    assert sorted(seen) == sorted(column.name for column in SYSCALL_COLUMNS)
    reversed_ = apply(state, Action.REVERSE_SORT)
    assert reversed_.syscall_reverse and not reversed_.reverse
    assert reversed_.sort == ViewState().sort


def test_windows_go_round() -> None:
    state, seen = ViewState(), []
    for _ in WINDOWS:
        state = apply(state, Action.NEXT_WINDOW)
        seen.append(state.window)
    assert seen == ["ten_seconds", "reset", "interval"]


def test_menu_of_probes_takes_movement_and_space_and_nothing_else() -> None:
    state = apply(ViewState(), Action.TOGGLE_PROBES)
    down = apply(state, Action.MOVE_DOWN)
    assert down.probes_at == 1 and down.move == 0
    on = apply(down, Action.TAG)
    assert on.probes_off == frozenset(LOG_NAMES) and not on.tagged and on.message is None
    assert apply(on, Action.CHOOSE).probes_off == {"open", *LOG_NAMES}
    off = apply(apply(on, Action.MOVE_UP), Action.CHOOSE)
    assert off.probes_off == {"syscall", *LOG_NAMES}
    last = apply(apply(state, Action.MOVE_UP), Action.TAG)
    assert last.probes_off == {"open", *LOG_NAMES[:-1]}, "the logs stand below the probes"
    assert apply(on, Action.TOGGLE_PAUSE).paused
    assert not apply(on, Action.GO_BACK).probes_open
    assert not apply(on, Action.TOGGLE_PROBES).probes_open
    assert not apply(on, Action.FOCUS_SYSCALLS).probes_open


def test_enter_looks_closer_at_the_selected_process_and_esc_goes_back() -> None:
    assert apply(ViewState(), Action.CHOOSE).message == ("go to a row first", True)
    selected = ViewState(selected=(501, 7, 502))
    closer = apply(selected, Action.CHOOSE)
    assert closer.looked_at == (501, 7)
    assert apply(closer, Action.CHOOSE) == closer
    back = apply(closer, Action.GO_BACK)
    assert back == selected
    assert apply(closer, Action.FOCUS_SYSCALLS).looked_at is None
    memory = apply(closer, Action.NEXT_COLUMNS)
    assert memory == closer.with_(looked_at_memory=True)
    assert apply(memory, Action.NEXT_COLUMNS) == closer
    elsewhere = ViewState(focus=2, selected=(501, 7, 502))
    assert apply(elsewhere, Action.CHOOSE).looked_at is None
