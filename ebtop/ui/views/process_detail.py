# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the detail view of one process: where the time of its threads went, the kernel stacks in
which it waited longest, its disk requests and its files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from ebtop import units
from ebtop.model.layout import KNOWN_BIT
from ebtop.model.process_table import BY_NAME, Context, Row, command, wait_bar, wait_shares
from ebtop.model.rows import column_view
from ebtop.model.snapshot import Snapshot
from ebtop.model.stacks import frames
from ebtop.model.waitreasons import LETTERS, REASONS
from ebtop.probes import STACKS
from ebtop.text import displayable, fit
from ebtop.ui.state import ViewState
from ebtop.ui.views.filelist import top_files
from ebtop.ui.views.line import Line, Span, Style, line
from ebtop.ui.views.missing import why_missing
from ebtop.ui.views.table import WAIT_STYLES, wait_spans
from ebtop.ui.views.threadlist import threads_now
from ebtop.units import UNKNOWN

_BAR = 20
_PART = 29
"""The width of a part of the time without its bar."""
_TWO_COLUMNS = 78
_DIVIDED = 1 << KNOWN_BIT["user_ns"]


def process_detail(
    snapshot: Snapshot, state: ViewState, context: Context, height: int, width: int
) -> list[Line]:
    """At most `height` lines, the title first."""
    assert state.looked_at is not None
    pid, _ = state.looked_at
    row = row_of(snapshot, state.looked_at)
    if row is None:
        text = f"  process {pid} has ended"
        return [_title(pid, ""), line(text, Style.DIM)][:height]
    lines = [
        _title(pid, command(row, context)),
        *_budget(row, width),
        _storage(row, context),
        (),
    ]
    stacks = list(_stacks(snapshot, state, pid, width))
    files = list(top_files(snapshot, state, width))
    threads = list(threads_now(snapshot, state, pid, width))
    left = max(0, height - len(lines))
    # a third for each list, plus the room that the others do not need
    third = max(3, left // 3)
    threads = threads[: max(third, left - len(stacks) - len(files) - 2)]
    left = max(0, left - len(threads) - 1)
    share = max(left - len(files) - 1, (left + 1) // 2)
    return [*lines, *threads, (), *stacks[:share], (), *files][:height]


def _title(pid: int, what: str) -> Line:
    hint = Span("  Tab: its memory  Esc: back  ", Style.DIM)
    return (Span(f"Process {pid}", Style.TITLE_FOCUSED), hint, Span(what))


def row_of(snapshot: Snapshot, wanted: tuple[int, int]) -> Optional[Row]:
    """The row of the selected process; None if it has exited."""
    pids = column_view(snapshot.processes, "pid")
    starts = column_view(snapshot.processes, "start_ns")
    for index, pid in enumerate(pids):
        if pid == wanted[0] and starts[index] == wanted[1]:
            return snapshot.processes.row(index)
    return None


# ---- where its time went ----


def _budget(row: Row, width: int) -> Iterator[Line]:
    """All parts of the lifetime of its threads, and the remainder of their sum."""
    shares = wait_shares(row)
    if shares is None:
        yield line("  how long its threads lived is not known here", Style.DIM)
        return
    lived = row["lifetime_ns"]
    who = "its thread" if row["threads"] == 1 else "its threads"
    bar = wait_spans(wait_bar(shares, min(_BAR * 2, width - 30)))
    said = f" of {units.duration(lived)} that {who} lived"
    yield (Span("Time  ", Style.TITLE), *bar, Span(said))
    parts = list(_parts(row))
    parts.append(("remainder", lived - sum(ns or 0 for _, ns in parts)))
    columns = 2 if width >= _TWO_COLUMNS else 1
    cells = min(_BAR, width // columns - _PART)
    lines = -(-len(parts) // columns)
    for index in range(lines):
        side = [_part(name, ns, lived, cells) for name, ns in parts[index::lines]]
        yield tuple(span for part in side for span in part)


def _parts(row: Row) -> Iterator[tuple[str, Optional[int]]]:
    """The time on a CPU is one part if its split into user and kernel is unknown."""
    if row["known"] & _DIVIDED:
        yield "user", row["user_ns"]
        yield "kernel", row["oncpu_ns"] - row["user_ns"]
    else:
        yield "on CPU", row["oncpu_ns"]
    yield "run queue", row["runq_wait_ns"]
    for reason in REASONS:
        yield reason, row[f"wait_{reason}_ns"]


def _part(name: str, ns: Optional[int], lived: int, cells: int) -> Line:
    share = 0.0 if not lived or ns is None else ns / lived
    sign = LETTERS.get(name, "|")
    bar = sign * max(0, min(cells, round(share * cells)))
    style = WAIT_STYLES.get(sign, Style.BAR_BUSY if name != "other" else Style.NORMAL)
    shown = UNKNOWN if ns is None else units.duration(ns) if ns >= 0 else f"-{units.duration(-ns)}"
    percent = f"{share * 100 + 0.0:.1f}%".replace("-0.0%", "0.0%")
    return (
        Span(f"  {name:<10}", Style.LABEL),
        Span(f"{percent:>7} {shown:>7}  "),
        Span(f"{bar:<{cells}}", style),
    )


# ---- disks and files ----

_STORAGE = (
    ("Disks  read/s ", "diskr"), ("  written/s ", "diskw"), ("  p99 ", "iolat"),
    ("    Files  read/s ", "filer"), ("  written/s ", "filew"), ("  cached % ", "hit"),
)  # fmt: skip


def _storage(row: Row, context: Context) -> Line:
    spans: list[Span] = []
    for label, name in _STORAGE:
        if context.snapshot.cumulative:
            label = label.replace("/s", "")
        style = Style.TITLE if not spans else Style.LABEL
        spans += [Span(label, style), Span(BY_NAME[name].show(row, context))]
    return tuple(spans)


# ---- where it waited ----


def _stacks(snapshot: Snapshot, state: ViewState, pid: int, width: int) -> Iterator[Line]:
    """One line per stack, the longest wait first; a stack begins with the innermost function."""
    heading = Span("Waits of 50 us and more, by kernel stack, since it is looked at", Style.TITLE)
    yield (heading,)
    why = _missing(snapshot, state, pid)
    if why:
        yield line("  " + why, Style.DIM)
        return
    yield (Span(fit(f"{'TIME':>9} {'COUNT':>7} WHY       STACK", width), Style.COLUMN_HEADER),)
    rows = list(snapshot.waits.rows()) if snapshot.waits is not None else []
    rows.sort(key=lambda row: int(row["ns"]), reverse=True)
    for row in rows:
        reason = REASONS[row["reason"]]
        style = WAIT_STYLES.get(LETTERS[reason], Style.NORMAL)
        numbers = f"{units.duration(row['ns']):>9} {units.count(row['count']):>7} "
        yield (Span(numbers), Span(f"{reason:<10}", style), Span(_stack(row, snapshot, state)))
    if not rows:
        yield line("  none yet", Style.DIM)


def _missing(snapshot: Snapshot, state: ViewState, pid: int) -> str:
    """Why there are none; empty when there are."""
    why = why_missing(STACKS, snapshot, state)
    return why or ("counting from now on" if snapshot.looked_at != pid else "")


def _stack(row: Row, snapshot: Snapshot, state: ViewState) -> str:
    return " < ".join(displayable(name, state.ascii) for name in frames(row, snapshot.symbols))
