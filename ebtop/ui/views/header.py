# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the header: the machine, its CPUs and memory, what ebtop itself costs, and what was lost.

The lines come in order of weight, so that a small screen keeps the first of them. It does not
know which panels follow.
"""

from __future__ import annotations

from ebtop import units
from ebtop.model.fullness import nearly_full, warning
from ebtop.model.snapshot import Snapshot, Spending
from ebtop.text import displayable
from ebtop.ui.state import ViewState
from ebtop.ui.views.bars import cpu_lines, memory_bar
from ebtop.ui.views.line import Line, Span, Style, line_cells
from ebtop.ui.views.losses import lost_text
from ebtop.units import UNKNOWN

_WIDE = 100
_MUCH_STOLEN = 5
"""Percent of all CPUs."""


def header(snapshot: Snapshot, state: ViewState, width: int, most: int) -> list[Line]:
    """At most so many lines; the cut to the width is the frame's."""
    title = _title(snapshot, state, width)
    banner = _banner(snapshot, state)
    if most <= 1:
        return [title]
    if most <= 4:
        small = [title, *banner, _summary(snapshot), _cost(snapshot, state)]
        return small[:most]
    parts = [_parts(snapshot, width)] if most > 5 else []
    bars = cpu_lines(snapshot, state, width, most - 3 - len(banner) - len(parts))
    memory = [memory_bar(snapshot, state, min(width, 60))]
    tasks, cost = _tasks(snapshot, width), _cost(snapshot, state)
    lines = [title, *banner, tasks, *bars, *parts, *memory, cost]
    while len(lines) > most:
        lines.pop(-2)  # of all, memory and the last bars are shown elsewhere soonest
    return lines


def _title(snapshot: Snapshot, state: ViewState, width: int) -> Line:
    host = snapshot.host
    left = [
        Span("ebtop ", Style.TITLE),
        Span(displayable(host.name, state.ascii) or UNKNOWN, Style.BOLD),
        *_value("  up ", None if host.uptime_s is None else _uptime(host.uptime_s)),
        *_value("  load ", host.load and " ".join(f"{load:.2f}" for load in host.load)),
    ]
    right = _pace(state)
    gap = width - line_cells(tuple(left)) - line_cells(right)
    if gap < 2:  # how often it refreshes stays; the load goes
        left = left[: 2 if width < 60 else 4]
        gap = width - line_cells(tuple(left)) - line_cells(right)
    return (*left, Span(" " * max(gap, 1)), *right)


def _uptime(seconds: float) -> str:
    days, rest = divmod(int(seconds), 86400)
    clock = f"{rest // 3600}:{rest // 60 % 60:02d}"
    return f"{days}d {clock}" if days else clock


def _pace(state: ViewState) -> Line:
    pace = state.pace
    every = f"every {pace.interval_s:.3g}s"
    spans = [Span(every, Style.BOLD if pace.reason else Style.NORMAL)]
    if pace.reason:
        spans.append(Span(f" ({displayable(pace.reason, state.ascii)})", Style.NOTICE))
    if state.paused:
        spans.insert(0, Span("PAUSED ", Style.WARNING))
    return tuple(spans)


def _banner(snapshot: Snapshot, state: ViewState) -> list[Line]:
    """Without BPF all values below are less exact, so the line below the title says so."""
    if snapshot.source == "bpf":
        return []
    reason = displayable(snapshot.source_reason or "asked for", state.ascii)
    some = any(probe.state == "on" for probe in snapshot.probes)
    less = "no exact times" if some else "no BPF"
    return [(Span(f"source /proc, {less}: {reason}", Style.WARNING),)]


def _value(label: str, value: str | None, style: Style = Style.NORMAL) -> tuple[Span, Span]:
    return Span(label, Style.LABEL), Span(UNKNOWN if value is None else value, style)


def _count(number: int | None) -> str | None:
    return None if number is None else units.count(number)


def _tasks(snapshot: Snapshot, width: int) -> Line:
    system = snapshot.system
    return (
        *_value("tasks ", _count(system.processes), Style.BOLD),
        *_value("  threads ", _count(system.threads)),
        *_value("  started ", _per_second(system.started, snapshot)),
        *_value("  exited ", _per_second(system.exited, snapshot)),
        *_value("  switches ", _per_second(system.context_switches, snapshot)),
        *_run_queue(snapshot, width),
        *_value("  source ", "BPF" if snapshot.source == "bpf" else "/proc"),
    )


def _run_queue(snapshot: Snapshot, width: int) -> Line:
    """How many threads waited for a CPU, in the mean; red and marked when as many as CPUs run."""
    waiting, longest = snapshot.system.run_queue, snapshot.system.run_queue_p99_ns
    if waiting is None:
        return _value("  run queue ", None)
    crowded = waiting >= max(snapshot.host.cpus, 1)
    text = f"{waiting:.2f}" + (" SATURATED" if crowded else "")
    if longest is not None and width >= _WIDE:
        text += f" (p99 {units.duration(longest)})"
    return _value("  run queue ", text, Style.BAD if crowded else Style.NORMAL)


def _parts(snapshot: Snapshot, width: int) -> Line:
    """The time of the CPUs by part, in percent of all CPUs, and the pressure by resource."""
    spans: list[Span] = []
    for label, share in _shares(snapshot, width < _WIDE).items():
        style = Style.BAD if label == "steal" and (share or 0) >= _MUCH_STOLEN else Style.NORMAL
        text = None if share is None else f"{share:.1f}"
        spans += _value(f" {label} " if spans else f"{label} ", text, style)
    return (*spans, *_pressure(snapshot, width < _WIDE))


def _shares(snapshot: Snapshot, narrow: bool) -> dict[str, float | None]:
    """The parts by label. A narrow screen has one part for all interrupts; parts that few machines
    have are shown only if they are not 0."""
    parts, cpus = snapshot.system.cpu_parts, max(snapshot.host.cpus, 1)
    if parts is None:
        return dict.fromkeys(("user", "system", "irq", "steal", "iowait"))
    found: dict[str, float | None] = {"user": parts.user}
    for name in ("nice", "guest"):
        if getattr(parts, name):
            found[name] = getattr(parts, name)
    found["system"] = parts.system
    found["irq"] = parts.irq + parts.softirq if narrow else parts.irq
    if not narrow:
        found["softirq"] = parts.softirq
    found.update(steal=parts.steal, iowait=parts.iowait)
    if not narrow:
        found["idle"] = parts.idle
    return {name: (share or 0.0) / cpus for name, share in found.items()}


def _pressure(snapshot: Snapshot, narrow: bool) -> Line:
    """Some and full of ten seconds; some alone where there is no room."""
    if snapshot.host.pressure is None:
        return ()
    texts = []
    for name, shares in snapshot.host.pressure.items():
        known = [f"{share:.0f}" for share in shares[: 1 if narrow else 2] if share is not None]
        texts.append(f"{'mem' if name == 'memory' else name} {'/'.join(known) or UNKNOWN}")
    return _value("  pressure ", " ".join(texts))


def _per_second(number: int | None, snapshot: Snapshot) -> str | None:
    if number is None or snapshot.interval_s <= 0:
        return None
    return units.rate(number / snapshot.interval_s) + "/s"


def _summary(snapshot: Snapshot) -> Line:
    host, cpu = snapshot.host, snapshot.system.cpu_percent
    used = None
    if host.memory_total_bytes and host.memory_available_bytes is not None:
        bytes_used = host.memory_total_bytes - host.memory_available_bytes
        used = f"{units.size(bytes_used)}/{units.size(host.memory_total_bytes)}"
    return (
        *_value("CPU ", None if cpu is None else units.percent(cpu) + "%", Style.BOLD),
        *_value(" mem ", used),
        *_value(" tasks ", _count(snapshot.system.processes)),
        *_value(" threads ", _count(snapshot.system.threads)),
    )


def _cost(snapshot: Snapshot, state: ViewState) -> Line:
    cost = snapshot.self_cost
    bpf = None if cost.probe_ns is None else units.duration(cost.probe_ns)
    if bpf is not None and cost.probe_cpu_percent is not None:
        bpf = f"{cost.probe_cpu_percent:.2f}% ({bpf})"
    own = None if cost.cpu_percent is None else f"{cost.cpu_percent:.1f}%"
    return (
        *_value("ebtop ", own),
        *_value(" ", None if cost.rss_bytes is None else units.size(cost.rss_bytes)),
        *_lost(snapshot),
        *_value("  BPF ", bpf),
        *_spending(snapshot, state),
        *_value("  events ", units.count(cost.events)),
    )


def _spending(snapshot: Snapshot, state: ViewState) -> Line:
    """The total cost and the budget, in percent of the whole machine, and the shed probes."""
    spending = snapshot.spending
    if spending is None:
        return ()
    spent, style = "-", Style.NORMAL
    if spending.percent is not None:
        spent = f"{spending.percent:.2f}"
        style = Style.BAD if spending.percent > spending.budget_percent else Style.NORMAL
    said = f"{spent}/{spending.budget_percent:g}%"
    if spending.percent is None:
        said += " (what programs cost is unknown)"
    return (*_value("  budget ", said, style), *_shed(snapshot, spending, state))


def _every(snapshot: Snapshot) -> int:
    return max(probe.every for probe in snapshot.probes)


def _shed(snapshot: Snapshot, spending: Spending, state: ViewState) -> Line:
    if spending.sampled and not spending.shed:
        names = " ".join(displayable(name, state.ascii) for name in spending.sampled)
        return (Span(f"  {names} times 1 of {_every(snapshot)}", Style.WARNING),)
    if spending.shed:
        names = " ".join(displayable(name, state.ascii) for name in spending.shed)
        return (Span(f"  shed {names}", Style.WARNING),)
    return (Span("  over, what is left stays", Style.WARNING),) if spending.stuck else ()


def _lost(snapshot: Snapshot) -> Line:
    """All losses since the start stay visible; current losses stand out."""
    cost = snapshot.self_cost
    text = lost_text(cost.lost_total, cost.lost)
    lost = (Span("  "), Span(text, Style.BAD)) if text else _value("  lost ", "0", Style.GOOD)
    full = nearly_full(snapshot.tables).items()
    return (*lost, *(Span("  " + warning(name, share), Style.WARNING) for name, share in full))
