# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the proof that no name can disturb an output: the whole corpus through each of them."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace

import hostile
import pyte
import pytest
import synthetic

from ebtop.model.eventlog import EventLog
from ebtop.model.snapshot import Snapshot
from ebtop.outputs.sample_json import sample_line
from ebtop.ui.batch import batch_text
from ebtop.ui.state import ViewState
from ebtop.ui.views.frame import Frame, frame_text, render
from ebtop.ui.views.line import line_cells, line_text

NAMES = hostile.names()
_HEIGHT = len(NAMES) * 2 + 30


def _snapshot(name: bytes) -> Snapshot:
    """That name wherever a name can stand, between two harmless rows."""
    shown = name[:16]
    rows = [
        synthetic.running(100, b"before", 900),
        synthetic.running(101, shown, 800, uid=7),
        synthetic.running(102, b"after", 700),
        synthetic.exited(103, shown),
    ]
    log = [synthetic.event(kind, 103, shown, text=0, text_bytes=len(name), uid=7)
           for kind in ("exec", "exit")]  # fmt: skip
    base = synthetic.snapshot(rows, events=synthetic.events(log), text=name)
    users = {7: name.decode("utf-8", "surrogateescape"), 1000: "alice"}
    return replace(base, users=users, host=replace(base.host, name=name), source="proc",
                   source_reason=name.decode("utf-8", "replace"))  # fmt: skip


def _frame(name: bytes, **state: object) -> Frame:
    snapshot = _snapshot(name)
    log = EventLog()
    log.absorb(snapshot)
    cmdlines = {(101, 101 * 1_000_003): name + b"\0" + name + b"\0"}
    typed = name.decode("utf-8", "replace")
    view = ViewState(message=(typed, True), search=typed, **state)  # type: ignore[arg-type]
    return render(snapshot, view, 100, 30, log.lines, log.totals, cmdlines)


def _is_clean(text: str) -> bool:
    bad = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    return all(unicodedata.category(char) not in bad for char in text)


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_screen_holds_no_control_and_every_line_its_width(name: bytes) -> None:
    for ascii in (False, True):
        frame = _frame(name, ascii=ascii)
        for spans in frame.lines:
            assert _is_clean(line_text(spans))
            assert line_cells(spans) == 100
            assert not ascii or line_text(spans).isascii()


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_row_below_is_unchanged(name: bytes) -> None:
    def below(frame: Frame) -> list[str]:
        return [row for row in frame_text(frame).split("\n") if row.endswith("[after]")]

    assert len(below(_frame(name))) == 1
    assert below(_frame(name)) == below(_frame(b"harmless"))


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_terminal_shows_each_line_in_its_place(name: bytes) -> None:
    frame = _frame(name)
    screen = pyte.Screen(100, 30)
    stream = pyte.Stream(screen)
    for number, spans in enumerate(frame.lines):
        stream.feed(f"\x1b[{number + 1};1H{line_text(spans)}")
    harmless = frame_text(_frame(b"harmless")).split("\n")
    after = next(row for row in harmless if row.endswith("[after]"))
    assert after in [row.rstrip() for row in screen.display]
    assert screen.title == ""


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_batch_has_as_many_lines_as_with_a_harmless_name(name: bytes) -> None:
    cmdlines = {(101, 101 * 1_000_003): name}
    text = batch_text(_snapshot(name), ViewState(), cmdlines)
    assert all(_is_clean(row) for row in text.split("\n"))
    assert text.count("\n") == batch_text(_snapshot(b"x"), ViewState()).count("\n")


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_json_is_one_ascii_line_that_keeps_the_name(name: bytes) -> None:
    text = sample_line(_snapshot(name), cmdlines={(101, 101 * 1_000_003): name})
    assert text.endswith("\n") and all(32 <= ord(char) < 127 for char in text[:-1])
    rows = {row["pid"]: row for row in json.loads(text)["processes"]}
    assert sorted(rows) == [100, 101, 102, 103]
    assert rows[101]["comm"] == name[:16].decode("utf-8", "backslashreplace")
    assert rows[102]["comm"] == "after"
