# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the last two lines: the status (prompt, message, or what is in force) and the keys.

What a key does is `ui/keys.py`'s; the footer only names the most useful ones.
"""

from __future__ import annotations

from ebtop import units
from ebtop.model.filters import FILTER_HELP, RowFilter
from ebtop.model.layout import EXITED
from ebtop.model.process_table import SETS, as_in
from ebtop.model.snapshot import Snapshot
from ebtop.probes import STANDING
from ebtop.text import cells, displayable, shifted
from ebtop.ui.state import ViewState
from ebtop.ui.views.line import Line, Span, Style

_PROMPTS = {
    "filter": f"Filter ({FILTER_HELP}): ",
    "search": "Search: ",
    "file": "Write to file: ",
}
_FOOTER = (
    ("h", "Help"), ("q", "Quit"), ("f", "Filter"), ("/", "Search"), ("<>", "Sort"),
    ("t", "Tree"), ("p", "Pause"), ("1-5", "Panel"), ("z", "Zoom"), ("Tab", "Columns"),
    ("s", "Probes"),
    ("I", "Reverse"), ("H", "Threads"), ("c", "Totals"), ("r", "Reset"), ("+-", "Pace"),
    ("Space", "Tag"), ("w", "Write"),
)  # fmt: skip


def status_line(snapshot: Snapshot, state: ViewState, width: int) -> Line:
    """The prompt while one is open, else a message, else filters, modes and probes."""
    if state.prompt is not None:
        # an error in the typed text is shown beside it
        said = (Span("  "), *_message(state)) if state.message is not None else ()
        return (*_prompt(*state.prompt, width, state.ascii), *said)
    if state.message is not None:
        return _message(state)
    shown = (*_filter(state.filter, snapshot, state), *_kernel_filter(snapshot, state))
    return (*_modes(state), *shown, *_columns_off(snapshot, state), *_probes(snapshot, state))


def _message(state: ViewState) -> Line:
    text, is_error = state.message or ("", False)
    shown = displayable(text, state.ascii)
    return (Span("error: " + shown, Style.ERROR),) if is_error else (Span(shown, Style.MESSAGE),)


def _prompt(kind: str, typed: str, width: int, ascii: bool) -> Line:
    """The end of a long text stays visible, because that is where the user types."""
    label = _PROMPTS.get(kind, kind + ": ")
    if len(label) > width // 2:
        label = label.split(" (", 1)[0].rstrip(": ") + ": "
    text = displayable(typed, ascii)
    room = width - len(label) - 1
    while cells(text) > room > 0:
        text = shifted(text, 2 if cells(text[:1]) == 2 else 1)
    return (Span(label, Style.PROMPT), Span(text + "_", Style.BOLD))


def _modes(state: ViewState) -> Line:
    order = "smallest" if state.reverse else "largest"
    modes = [f"sort {state.sort} {order} first"]
    for on, text in (
        (state.cumulative, "totals"),
        (state.threads, "threads"),
        (state.tree, "tree"),
        (state.paused, "PAUSED"),
    ):
        if on:
            modes.append(text)
    if state.search:
        modes.append("search " + displayable(state.search, state.ascii))
    if state.tagged:
        modes.append(f"{len(state.tagged)} tagged")
    return (Span(" " + ", ".join(modes)),)


def _filter(shown: RowFilter, snapshot: Snapshot, state: ViewState) -> Line:
    """Which rows are shown."""
    if not shown:
        return ()
    words = []
    if shown.pids:
        words.append("pid " + ",".join(_pid(pid, snapshot) for pid in sorted(shown.pids)))
    if shown.user is not None:
        words.append("user " + displayable(shown.user, state.ascii))
    if shown.comm is not None:
        words.append("name " + displayable(shown.comm, state.ascii))
    if shown.thread is not None:
        words.append("thread " + displayable(shown.thread, state.ascii))
    if shown.port is not None:
        words.append(
            f"port {shown.port}"
            + (
                ""
                if snapshot.connections is not None
                else " (connections are not known: not applied)"
            )
        )
    return (Span("  filter: ", Style.LABEL), Span(" and ".join(words), Style.NOTICE))


def _kernel_filter(snapshot: Snapshot, state: ViewState) -> Line:
    """The kernel's filter, which another process may have set."""
    held = snapshot.filter
    if not held:
        return ()
    words = []
    if held.pid:
        below = " and descendants" if held.descendants else ""
        words.append(f"pid {_pid(held.pid, snapshot)}{below}")
    if held.uid is not None:
        name = snapshot.users.get(held.uid)
        shown = str(held.uid) if name is None else displayable(name, state.ascii)
        words.append(f"user {shown}")
    if held.min_latency_ns:
        words.append(f"from {units.latency(held.min_latency_ns, state.ascii)} on")
    return (Span("  in the kernel: ", Style.LABEL), Span(", ".join(words), Style.NOTICE))


def _pid(pid: int, snapshot: Snapshot) -> str:
    """A pid of a filter, with a note if its process has exited."""
    pids = snapshot.processes.column("pid")
    if pid not in pids:
        return f"{pid} (no such process)"
    ended = snapshot.processes.column("flags")[pids.index(pid)] & EXITED
    return f"{pid} (ended)" if ended else str(pid)


def _columns_off(snapshot: Snapshot, state: ViewState) -> Line:
    """The columns of the table that show `-` since the user keeps their probe off."""
    if snapshot.source != "bpf":
        return ()
    off: dict[str, list[str]] = {}
    for column in as_in(SETS[state.column_set % len(SETS)], snapshot):
        if column.probe in state.probes_off:
            off.setdefault(column.probe, []).append(column.heading(state.ascii))
    texts = (f"  {' '.join(titles)} off (probe {name})" for name, titles in off.items())
    return tuple(Span(text, Style.NOTICE) for text in texts)


def _probes(snapshot: Snapshot, state: ViewState) -> Line:
    """The running probes, then the others grouped by reason."""
    groups: dict[tuple[str, str], list[str]] = {}
    for probe in sorted(snapshot.probes, key=lambda probe: probe.state != "on"):
        shed = snapshot.spending is not None and probe.name in snapshot.spending.shed
        if probe.state == "off" and probe.name not in STANDING and not shed:
            # nothing shows it, or it comes with a command or another probe: that is no fault
            continue
        why = displayable(probe.reason or "", state.ascii)
        groups.setdefault((probe.state, why), []).append(displayable(probe.name, state.ascii))
    spans = [Span("  probes:", Style.LABEL)]
    for (condition, why), names in groups.items():
        text = " " + " ".join(names)
        if condition != "on":
            text += f" {condition}" + (f" ({why})" if why else "") + ";"
        spans.append(Span(text, _CONDITIONS.get(condition, Style.WARNING)))
    if not groups:
        spans.append(Span(" none", Style.DIM))
    return tuple(spans)


_CONDITIONS = {"on": Style.GOOD, "off": Style.DIM}


def footer(width: int) -> Line:
    """Keys and labels, as many as fit whole."""
    spans: list[Span] = []
    left = width
    for key, label in _FOOTER:
        size = len(key) + len(label) + 1
        if size > left:
            break
        spans += [Span(key, Style.KEY), Span(label + " ", Style.KEY_LABEL)]
        left -= size
    return tuple(spans)
