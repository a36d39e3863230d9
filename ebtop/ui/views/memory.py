# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the detail view of one process's memory: its parts, allocations and frees, the history of
the last minutes, and hints on problems.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ebtop import units
from ebtop.model.layout import KNOWN_BIT, SIZE_FROM
from ebtop.model.leaks import Point
from ebtop.model.process_table import (
    BY_NAME,
    Context,
    Row,
    command,
    is_judged,
    leak_of,
    memory_part,
    watch_of,
)
from ebtop.model.snapshot import Snapshot
from ebtop.outputs.memoryhints import (
    fragments_of,
    fragments_words,
    leak_words,
    size_classes,
    watch_words,
)
from ebtop.probes import MEM
from ebtop.ui.state import ViewState
from ebtop.ui.views.histogram import bar
from ebtop.ui.views.line import Line, Span, Style, line
from ebtop.ui.views.missing import why_missing
from ebtop.ui.views.process_detail import row_of
from ebtop.units import UNKNOWN

_GRAPH_LINES = 8
_LEAST_GRAPH = 4
_GRAPH_CELLS = 72
_BAR_CELLS = 30
_RAMP = " ▁▂▃▄▅▆▇█"
_ASCII_RAMP = " .:#"


def memory_detail(
    snapshot: Snapshot, state: ViewState, context: Context, height: int, width: int
) -> list[Line]:
    """At most `height` lines, the title first."""
    assert state.looked_at is not None
    pid, _ = state.looked_at
    row = row_of(snapshot, state.looked_at)
    if row is None:
        text = f"  process {pid} has ended"
        return [_title(pid, ""), line(text, Style.DIM)][:height]
    head = [_title(pid, command(row, context)), *_parts(row),
            *_flow(row, context, state), *_machine(snapshot),
            *_hints(row, context)]  # fmt: skip
    sizes = _sizes(row, snapshot, state.ascii)
    room = height - len(head) - 2
    graph_lines = min(_GRAPH_LINES, max(_LEAST_GRAPH, room - len(sizes)))
    graph = _graph(snapshot.memory_history, state, graph_lines, width)
    return [*head, *graph, *sizes][:height]


def _title(pid: int, what: str) -> Line:
    hint = Span("  Tab: its time  Esc: back  ", Style.DIM)
    return (Span(f"Memory of process {pid}", Style.TITLE_FOCUSED), hint, Span(what))


# ---- what it is made of ----


def _known(row: Row, name: str) -> str:
    return units.size(row[name]) if row["known"] & 1 << KNOWN_BIT[name] else UNKNOWN


def _part(row: Row, name: str) -> str:
    value = memory_part(row, name)
    return UNKNOWN if value is None else units.size(value)


def _parts(row: Row) -> Iterator[Line]:
    resident = (
        f"{_known(row, 'rss_bytes')}: anonymous {_part(row, 'rss_anon_bytes')}, of files"
        f" {_part(row, 'rss_file_bytes')}, shared {_part(row, 'rss_shmem_bytes')}"
    )
    yield (Span("  resident   ", Style.LABEL), Span(resident))
    rest = (
        f"{_known(row, 'peak_rss_bytes')} at most so far; swapped out {_part(row, 'swap_bytes')};"
        f" address space {_known(row, 'virtual_bytes')}"
    )
    mappings = memory_part(row, "mappings")
    rest += "" if mappings is None else f" in {mappings} mappings"
    yield (Span("             ", Style.LABEL), Span(rest))


def _flow(row: Row, context: Context, state: ViewState) -> Iterator[Line]:
    snapshot = context.snapshot
    rate = "" if snapshot.cumulative else " a second"
    shown = {name: BY_NAME[name].show(row, context) for name in _FLOWS}
    if not row["known"] & 1 << KNOWN_BIT["allocated_bytes"]:
        yield line("  " + _missing(snapshot, state), Style.DIM)
    else:
        calls = ", ".join(f"{name} {shown[name]}" for name in ("mmap", "munmap", "brk"))
        yield (
            Span("  mapped     ", Style.LABEL),
            Span(f"{shown['alloc']}{rate}, unmapped {shown['free']}; calls{rate}: {calls}"),
        )  # fmt: skip
    if row["known"] & 1 << KNOWN_BIT["minor_faults"]:
        faults = f"{shown['minflt']} without a disk, {shown['majflt']} with one{rate}"
        yield (Span("  faults     ", Style.LABEL), Span(faults))


_FLOWS = ("alloc", "free", "mmap", "munmap", "brk", "minflt", "majflt")


def _machine(snapshot: Snapshot) -> Iterator[Line]:
    """The values of the whole machine, for comparison."""
    system, host, said = snapshot.system, snapshot.host, []
    if system.allocated_bytes is not None and system.freed_bytes is not None:
        seconds = snapshot.interval_s or 1.0
        said.append(f"all processes map {units.size(system.allocated_bytes / seconds)} a second,"
                    f" unmap {units.size(system.freed_bytes / seconds)}")  # fmt: skip
    for name, total, free in (
        ("swap", host.swap_total_bytes, host.swap_free_bytes),
        ("huge pages", host.huge_pages_total_bytes, host.huge_pages_free_bytes),
    ):
        if total and free is not None:
            said.append(f"{name} {units.size(total - free)} of {units.size(total)}")
    if said:
        yield (Span("  machine    ", Style.LABEL), Span("; ".join(said)))


def _missing(snapshot: Snapshot, state: ViewState) -> str:
    """Why the mapped memory is unknown."""
    why = why_missing(MEM, snapshot, state)
    if not why and any(own.name == MEM.name and own.state == "on" for own in snapshot.probes):
        why = "the filter does not let it pass"
    return f"what it maps is not counted: {why}" if why else "what it maps is counted from now on"


# ---- what seems wrong ----


def _hints(row: Row, context: Context) -> Iterator[Line]:
    leak, fragments = leak_of(row, context), fragments_of(row)
    if leak is not None:
        for index, words in enumerate(leak_words(leak)):
            label = "  leak?      " if index == 0 else "             "
            yield (Span(label, Style.WARNING), Span(words, Style.WARNING))
    elif is_judged(row, context):
        words = watch_words(watch_of(row, context))
        yield (Span("  leak?      ", Style.LABEL), Span(words))
    if fragments is not None:
        for words in fragments_words(fragments):
            yield (Span("  fragments  ", Style.WARNING), Span(words, Style.WARNING))


# ---- how it went ----


def _graph(history: Sequence[Point], state: ViewState, height: int, width: int) -> list[Line]:
    """Anonymous memory over time, the present at the right."""
    if len(history) < 2:
        return [line("  its history is kept from now on", Style.DIM)]
    cells = min(_GRAPH_CELLS, max(8, width - 12))
    levels = _resampled(history, cells)
    high = max(levels)
    span_s = history[-1].time_s - history[0].time_s
    title = f"Anonymous memory over {units.long_duration(span_s)}, up to {units.size(high)}"
    lines: list[Line] = [(Span(title, Style.TITLE),)]
    ramp = _ASCII_RAMP if state.ascii else _RAMP
    steps = len(ramp) - 1
    for at in range(height - 1, -1, -1):
        filled = (level * height / high - at if high else 0.0 for level in levels)
        cells_of_line = "".join(ramp[round(min(1.0, max(0.0, part)) * steps)] for part in filled)
        label = units.size(high * (at + 1) / height)
        lines.append((Span(f"{label:>7} |", Style.LABEL), Span(cells_of_line, Style.BAR_BUSY)))
    return lines


def _resampled(history: Sequence[Point], cells: int) -> list[int]:
    """The history resampled at equal distances, each cell with the last value known at its time."""
    first, last = history[0].time_s, history[-1].time_s
    levels, at = [], 0
    for cell in range(cells):
        moment = first + (last - first) * (cell + 1) / cells
        while at + 1 < len(history) and history[at + 1].time_s <= moment + 1e-6:
            at += 1
        levels.append(history[at].resident)
    return levels


# ---- sizes ----


def _sizes(row: Row, snapshot: Snapshot, ascii: bool) -> list[Line]:
    classes = size_classes(snapshot.sizes, row) if snapshot.sizes is not None else ()
    if not any(classes):
        return []
    lines: list[Line] = [(Span("Sizes of what it mapped, by call", Style.TITLE),)]
    used = [index for index, count in enumerate(classes) if count]
    for index in range(used[0], used[-1] + 1):
        low = units.size(1 << (index + SIZE_FROM))
        share = classes[index] / max(classes)
        head = f"{low:>7} and more {units.count(classes[index]):>7} "
        lines.append((Span(head, Style.LABEL), Span(bar(share, _BAR_CELLS, ascii), Style.BAR_BUSY)))
    return lines
