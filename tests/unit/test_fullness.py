# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""When a bounded table is worth a warning, and how often it is said."""

from __future__ import annotations

import dataclasses

import pytest
import synthetic

from ebtop.model.fullness import Warner, nearly_full, warning
from ebtop.ui.state import ViewState
from ebtop.ui.views.frame import frame_text, render


@pytest.mark.parametrize(
    ("used", "room", "full"),
    [(89, 100, False), (90, 100, True), (100, 100, True), (0, 0, False), (0, 100, False)],
)
def test_nine_tenths_are_nearly_full(used: int, room: int, full: bool) -> None:
    assert bool(nearly_full({"threads": (used, room)})) == full


def test_a_warning_is_said_once_until_it_is_better() -> None:
    said: list[str] = []
    warner = Warner(said.append)
    for used in (50, 91, 95, 85, 92):  # it never got better in between
        warner.look({"connections": (used, 100), "events": (10, 100)})
    assert len(said) == 1 and said[0].startswith("connections 91% full (91 of 100 entries)")
    warner.look({"connections": (79, 100)})
    warner.look({"connections": (90, 100)})
    assert len(said) == 2


def test_the_header_shows_what_is_nearly_full() -> None:
    full = dataclasses.replace(synthetic.office(), tables={"stacks": (93, 100), "events": (1, 9)})
    text = frame_text(render(full, ViewState(), 160, 40))
    assert warning("stacks", 0.93) in text
    assert "buffer of events" not in text
