# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the checks of what a frame does with the state: selection, scrolling, search, events."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
import synthetic
from hypothesis import given, settings
from hypothesis import strategies as st

from ebtop.model.eventlog import KEPT_LINES, EventLine, EventLog, EventTotals
from ebtop.model.filters import RowFilter
from ebtop.model.layout import (
    CONN_CLOSED,
    CONN_COUNTED,
    CONNECTION,
    EVENT,
    EVENT_TYPES,
    LOSSES,
    ROW,
    SIGNAL_IGNORED,
    SYSCALL,
    Table,
)
from ebtop.model.rows import Identity, RowQuery
from ebtop.model.snapshot import Snapshot
from ebtop.outputs.sample_json import sample_line
from ebtop.probes import STACKS
from ebtop.ui.batch import batch_text
from ebtop.ui.state import EVENTS, TO_THE_END, ViewState
from ebtop.ui.views.frame import Frame, frame_text, render
from ebtop.ui.views.line import Span, Style, fit_line, line_cells, line_text
from ebtop.ui.views.losses import CAUSES, advice, lost_text

CROWD = synthetic.crowd(300, awake=5)


def frame(state: ViewState, snapshot: Snapshot = CROWD, size: tuple[int, int] = (80, 24)) -> Frame:
    return render(snapshot, state, *size)


def identity(pid: int) -> Identity:
    return (pid, pid * 1_000_003, pid)


def marked(shown: Frame) -> list[str]:
    return [text for text in frame_text(shown).split("\n") if text.startswith(">")]


def test_nothing_is_selected_before_the_user_moves() -> None:
    shown = frame(ViewState())
    assert shown.state.selected is None and shown.cursor_row is None and not marked(shown)


def test_first_movement_selects_the_first_row_in_sight() -> None:
    shown = frame(ViewState(move=1))
    assert shown.state.selected == identity(104)
    assert shown.state.move == 0 and "[worker]" in marked(shown)[0]
    row = shown.cursor_row
    assert row is not None and line_text(shown.lines[row]).startswith(">")
    assert shown.lines[row][0].style is Style.SELECTED


def test_selection_follows_its_process() -> None:
    state = frame(ViewState(move=2)).state
    assert state.selected == identity(103)
    rows = [synthetic.process(1000 + n, b"sleeper") for n in range(300)]
    rows += [synthetic.running(103, b"worker", 1), synthetic.running(104, b"worker", 500)]
    after = frame(replace(state, sort="cpu"), synthetic.snapshot(rows))
    assert after.state.selected == identity(103) and after.state.cursor == 1


def test_selection_goes_to_the_neighbour_when_its_process_is_gone() -> None:
    state = frame(ViewState(move=2)).state
    rows = [synthetic.running(100 + n, b"worker", 40 * n + 3) for n in range(3)]
    after = frame(state, synthetic.snapshot(rows))
    assert after.state.selected == identity(101) and after.state.cursor == 1


def test_selection_ends_with_the_last_row() -> None:
    state = frame(ViewState(move=2)).state
    after = frame(replace(state, filter=RowFilter.parse("nobody")))
    assert after.state.selected is None and "no process matches" in frame_text(after)


def test_ends_and_pages() -> None:
    last = frame(ViewState(move=TO_THE_END)).state
    assert last.selected == identity(1299) and last.cursor == 304
    first = frame(replace(last, move=-TO_THE_END)).state
    assert first.selected == identity(104) and first.scroll == 0
    rows = len(frame(first).visible)
    page = frame(replace(first, move_pages=1)).state
    assert page.cursor == rows - 1


def test_selected_row_is_always_in_sight() -> None:
    state = ViewState()
    for move in (1, 7, 30, -3, 200, -100, 5000, -9999):
        shown = frame(replace(state, move=move))
        state = shown.state
        assert len(marked(shown)) == 1
        assert 0 <= state.scroll <= state.cursor


def test_smaller_screen_keeps_the_selected_row_in_sight() -> None:
    state = frame(ViewState(move=12)).state
    assert len(marked(frame(state, size=(40, 10)))) == 1


def test_search_goes_round_and_back() -> None:
    office = synthetic.office()
    found = frame(ViewState(search="NGINX", search_step=1), office).state
    assert found.selected == identity(412) and found.search_step == 0
    found = frame(replace(found, search_step=1), office).state
    assert found.selected == identity(413)
    found = frame(replace(found, search_step=1), office).state
    assert found.selected == identity(412)
    found = frame(replace(found, search_step=-1), office).state
    assert found.selected == identity(413)
    same = frame(replace(found, search="nobody", search_step=1), office).state
    assert same.selected == identity(413)


def test_movement_of_the_events_does_not_move_the_processes() -> None:
    log = EventLog()
    for _ in range(20):
        log.absorb(synthetic.office())
    office = synthetic.office()
    state = ViewState(focus=4, move=-5)
    shown = render(office, state, 80, 24, log.lines, log.totals)
    assert shown.state.events_scroll == 5 and shown.state.selected is None
    end = render(office, replace(shown.state, move=TO_THE_END), 80, 24, log.lines, log.totals)
    assert end.state.events_scroll == 0
    top = render(office, replace(shown.state, move=-TO_THE_END), 80, 24, log.lines, log.totals)
    assert 0 < top.state.events_scroll < 80


def test_help_scrolls_within_its_text() -> None:
    down = frame(ViewState(help_open=True, move=TO_THE_END)).state
    assert 0 < down.help_scroll < 200 and down.move == 0
    assert frame(replace(down, move=-TO_THE_END)).state.help_scroll == 0


def test_prompt_has_the_cursor() -> None:
    assert frame(ViewState(prompt=("filter", "x"))).cursor_row == 22


def test_visible_names_what_is_shown() -> None:
    shown = frame(ViewState())
    assert shown.visible[0] == (104, 104 * 1_000_003)
    assert frame(ViewState(help_open=True)).visible == ()


def test_render_is_pure() -> None:
    state = ViewState(move=3, tree=True)
    assert frame(state) == frame(state)


def test_event_log_is_bounded_and_counts_all() -> None:
    log = EventLog()
    rows = [synthetic.event("exit", pid, b"true") for pid in range(1, 5000)]
    base = synthetic.snapshot([], events=synthetic.events(rows))
    snapshot = replace(base, system=replace(base.system, exited=4999))
    log.absorb(snapshot)
    log.absorb(snapshot)
    assert len(log.lines) == KEPT_LINES and log.lines[-1].pid == 4999
    assert log.totals.counts["exit"] == 9998 and log.totals.rates["exit"] == pytest.approx(4999)
    log.reset()
    assert not log.lines and log.totals.counts["exit"] is None


def test_event_counts_unknown_to_a_source_stay_unknown() -> None:
    log = EventLog()
    base = synthetic.snapshot([])
    log.absorb(replace(base, system=replace(base.system, started=None, execs=None, exited=None)))
    assert log.totals.counts == dict.fromkeys(EVENT_TYPES)


def test_a_flood_of_opens_drives_no_exit_out_of_the_log() -> None:
    log = EventLog(kept=50)
    rows = [synthetic.event("exit", 7, b"true")]
    rows += [synthetic.event("open", pid, b"cat", time_ns=synthetic.NOW_NS) for pid in range(500)]
    log.absorb(synthetic.snapshot([], events=synthetic.events(rows)))
    assert [line.type for line in log.lines] == ["exit"] + ["open"] * 50
    assert log.lines[-1].pid == 499


def test_a_loss_lasts_when_it_comes_again_and_again() -> None:
    log, base = EventLog(), synthetic.snapshot([])
    losing = replace(base, self_cost=replace(base.self_cost, lost={"ring_buffer": 5}))
    for _ in range(3):
        log.absorb(losing)
    assert log.totals.losing == 3
    log.absorb(base)
    assert log.totals.losing == 0


def test_every_loss_has_a_name_and_a_full_buffer_has_advice() -> None:
    assert set(CAUSES) == set(LOSSES)
    assert lost_text({"forks": 0}, {"forks": 0}) == ""
    assert "--buffer-size" in advice({"ring_buffer": 3}) and advice({"clock_order": 3}) == ""


@pytest.mark.parametrize("state, size, probes", [
    (ViewState(), (160, 50), "signals"),
    (ViewState(probes_off=frozenset()), (160, 50),
     "open signals mem syscall block allocations slow"),
    (ViewState(probes_off=frozenset({"slow"}), focus=4), (80, 24), "open signals mem allocations"),
    (ViewState(probes_off=frozenset({"allocations", "block", "open"})), (160, 50),
     "signals syscall slow"),
    (ViewState(probes_off=frozenset(), zoom=True), (160, 50), ""),
    (ViewState(probes_off=frozenset(), focus=2), (160, 50), "syscall"),
    (ViewState(probes_off=frozenset({"syscall"}), focus=2), (160, 50), ""),
    (ViewState(focus=2, zoom=True), (80, 24), "syscall"),
    (ViewState(focus=2, help_open=True), (80, 24), "syscall"),
    (ViewState(focus=3), (80, 24), "tcp"),
    (ViewState(column_set=5), (160, 50), "signals tcp"),
    (ViewState(column_set=7), (160, 50), "mem signals"),
    (ViewState(looked_at=(5, 1), looked_at_memory=True), (80, 24), "mem"),
    (ViewState(looked_at=(5, 1)), (80, 24), "block vfs"),
    (ViewState(search="port=443"), (160, 50), "signals tcp"),
    (ViewState(filter=RowFilter(port=443)), (160, 50), "signals tcp"),
    (ViewState(probes_off=frozenset({"tcp"}), focus=3), (80, 24), ""),
    (ViewState(column_set=2), (160, 50), "signals syscall"),
    (ViewState(column_set=2, focus=4, zoom=True), (160, 50), "signals"),
    (ViewState(sort="syserr"), (80, 24), "signals syscall"),
    (ViewState(focus=2), (20, 5), ""),
])  # fmt: skip
def test_a_probe_is_needed_only_where_something_shows_it(
    state: ViewState, size: tuple[int, int], probes: str
) -> None:
    assert render(synthetic.calling(), state, *size).probes == {STACKS.name, *probes.split()}


def test_selection_of_a_system_call_follows_it_and_scrolls() -> None:
    calls = synthetic.calling()
    first = render(calls, ViewState(focus=2, move=1), 80, 24).state
    assert first.syscall_selected == (202, 0) and first.move == 0
    assert first.selected is None
    again = render(calls, replace(first, syscall_sort="calls"), 80, 24).state
    assert again.syscall_selected == (202, 0)
    last = render(calls, replace(first, move=TO_THE_END), 80, 20).state
    assert last.syscall_selected == (60, 0) and last.syscall_scroll > 0
    top = render(calls, replace(last, move=-TO_THE_END), 80, 20).state
    assert top.syscall_selected == (202, 0) and top.syscall_scroll == 0
    gone = replace(calls, syscalls=synthetic.syscalls([]))
    assert render(gone, first, 80, 24).state.move == 0


@pytest.mark.parametrize("width", range(12))
def test_lines_are_cut_and_padded_in_cells(width: int) -> None:
    spans = (Span("ab"), Span("日本", Style.BAD), Span("xyz"))
    assert line_cells(fit_line(spans, width)) == width


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=ROW.stride * 3, max_size=ROW.stride * 3), st.integers(0, 9))
def test_rows_of_any_bits_can_be_shown(data: bytes, active: int) -> None:
    base = synthetic.office()
    rows, wild = Table(ROW, data), replace(base.system, active=active)
    snapshot = replace(base, processes=rows, threads=rows, system=wild)
    for changes in ({}, {"tree": True}, {"threads": True}, {"column_set": 1}, {"move": 2}):
        shown = frame(ViewState(**changes), snapshot)  # type: ignore[arg-type]
        assert all(line_cells(spans) == 80 for spans in shown.lines)
        assert all(line_text(spans).isprintable() for spans in shown.lines)
        assert batch_text(snapshot, ViewState(**changes))  # type: ignore[arg-type]
    assert len(json.loads(sample_line(snapshot, RowQuery(threads=True)))["processes"]) == 3


@settings(max_examples=100, deadline=None)
@given(
    st.binary(min_size=SYSCALL.stride * 3, max_size=SYSCALL.stride * 3),
    st.binary(min_size=EVENT.stride * 2, max_size=EVENT.stride * 2),
    st.sampled_from([(80, 24), (160, 50), (40, 10)]),
)
def test_system_calls_and_events_of_any_bits_can_be_shown(
    calls: bytes, events: bytes, size: tuple[int, int]
) -> None:
    base = synthetic.calling()
    snapshot = replace(base, syscalls=Table(SYSCALL, calls), events=Table(EVENT, events))
    log = EventLog()
    log.absorb(snapshot)
    for changes in ({"focus": 2}, {"focus": 2, "zoom": True, "move": 2}, {"focus": 4}):
        state = ViewState(**changes)  # type: ignore[arg-type]
        shown = render(snapshot, state, *size, log.lines, log.totals)
        assert all(line_cells(spans) == size[0] for spans in shown.lines)
        assert all(line_text(spans).isprintable() for spans in shown.lines)


def cost_ms(snapshot: Snapshot, **state: Any) -> float:
    """The least of several, since others use this machine too."""
    best = float("inf")
    for _ in range(7):
        start = time.process_time()
        for _ in range(5):
            render(snapshot, ViewState(**state), 160, 50)
        best = min(best, (time.process_time() - start) * 200)
    return best


def test_frame_of_ten_thousand_sleepers_costs_what_one_of_a_hundred_does() -> None:
    few, many = synthetic.crowd(100), synthetic.crowd(10_000)
    assert cost_ms(many) < 4.0
    assert cost_ms(many) < 1.5 * cost_ms(few) + 0.1
    selected = identity(7000)
    assert cost_ms(many, selected=selected) < 1.5 * cost_ms(few, selected=identity(1050)) + 0.1


def _logged(kind: str, pid: int, comm: bytes, text: bytes = b"", **values: object) -> str:
    """The last line of the panel of events, as text."""
    row = synthetic.event(kind, pid, comm, text_bytes=len(text), **values)
    snapshot = replace(synthetic.office(), events=synthetic.events([row]), text=text)
    log = EventLog()
    log.absorb(snapshot)
    frame = render(snapshot, ViewState(focus=4, zoom=True), 120, 24, log.lines, log.totals)
    lines = frame_text(frame).splitlines()
    return next(line for line in lines if f" {kind} " in line and ":" in line)


def test_the_log_says_who_signalled_whom() -> None:
    line = _logged("signal", 7, b"systemd", b"nginx", result=15, target=9)
    assert "7 " in line and line.endswith("SIGTERM from systemd to 9 nginx")
    line = _logged("signal", 0, b"", b"nginx", result=11, target=9, marks=SIGNAL_IGNORED)
    assert line.split()[2:4] == ["-", "-"]
    assert line.endswith("SIGSEGV from kernel to 9 nginx (ignored)")


def test_the_log_says_whom_the_oom_killer_took() -> None:
    line = _logged("oom", 7, b"java", b"postgres", result=5 << 30, target=9)
    assert line.endswith("out of memory: killed 9 postgres, which held 5.0G; java asked")
    assert "which held -" in _logged("oom", 7, b"java", result=-1, target=9)


def test_the_log_has_the_ends_of_connections() -> None:
    connection = synthetic.connection(
        "10.0.0.1:5000", "10.0.0.2:443", "CLOSE", pid=7, flags=CONN_CLOSED | CONN_COUNTED,
        reason=2, tx_bytes=1024, rx_bytes=2048,
    )  # fmt: skip
    line = _logged("tcp", 7, b"curl", CONNECTION.pack(connection))
    assert "reset" in line and ":443" in line and line.endswith("1.0K out, 2.0K in")


@pytest.mark.parametrize("uid", [1_234_567_890, 4_294_967_294])
def test_a_number_of_ten_digits_for_a_user_is_whole_in_every_table(uid: int) -> None:
    rows = [synthetic.running(7, b"sh", 10, uid=uid), synthetic.running(8, b"sh", 9, uid=0)]
    snapshot = synthetic.snapshot(rows, nameless=frozenset({uid}))
    frame = frame_text(render(snapshot, ViewState(), 120, 30, (), EventTotals()))
    assert f" {uid} " in frame and f" {uid} " in batch_text(snapshot, ViewState())
    widths = {line.index("CPU%") for line in frame.splitlines() if "CPU%" in line and "PID" in line}
    assert len(widths) == 1
    log = EventLine(0.0, "exec", 7, 1, uid, b"sh", b"sh", 0, 0)
    state = ViewState(focus=EVENTS)
    assert f" {uid} " in frame_text(render(snapshot, state, 120, 40, (log,), EventTotals()))
