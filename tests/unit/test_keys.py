# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sentences that must hold of the table of keys."""

from __future__ import annotations

import pytest

from ebtop.ui.actions import _CHANGES
from ebtop.ui.keys import KEYS, Action

OUTSIDE_THE_VIEW = {Action.QUIT, Action.REDRAW, Action.GO_BACK}


@pytest.mark.parametrize(
    "key, action",
    [
        ("q", Action.QUIT),
        ("r", Action.RESET),
        ("f", Action.EDIT_FILTER),
        ("p", Action.TOGGLE_PAUSE),
        ("+", Action.REFRESH_FASTER),
        ("-", Action.REFRESH_SLOWER),
        ("1", Action.FOCUS_PROCESSES),
        ("2", Action.FOCUS_SYSCALLS),
        ("3", Action.FOCUS_CONNECTIONS),
        ("4", Action.FOCUS_EVENTS),
        ("h", Action.TOGGLE_HELP),
        ("?", Action.TOGGLE_HELP),
        ("<", Action.SORT_PREVIOUS),
        (">", Action.SORT_NEXT),
        ("I", Action.REVERSE_SORT),
        ("\x1b", Action.GO_BACK),
        ("t", Action.TOGGLE_TREE),
        ("c", Action.TOGGLE_CUMULATIVE),
        ("H", Action.TOGGLE_THREADS),
        ("/", Action.EDIT_SEARCH),
        ("z", Action.TOGGLE_ZOOM),
        ("\t", Action.NEXT_COLUMNS),
        (" ", Action.TAG),
        ("w", Action.EDIT_FILE),
        ("s", Action.TOGGLE_PROBES),
        ("W", Action.NEXT_WINDOW),
        ("KEY_F1", Action.TOGGLE_HELP),
        ("KEY_F3", Action.EDIT_SEARCH),
        ("KEY_F4", Action.EDIT_FILTER),
        ("KEY_F5", Action.TOGGLE_TREE),
        ("KEY_F6", Action.SORT_NEXT),
        ("KEY_F10", Action.QUIT),
    ],
)
def test_key_of_the_interface_keeps_its_meaning(key: str, action: Action) -> None:
    assert KEYS[key] is action


def test_every_action_has_a_key_and_does_something() -> None:
    assert set(KEYS.values()) == set(Action)
    assert set(Action) == set(_CHANGES) | OUTSIDE_THE_VIEW
