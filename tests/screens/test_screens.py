# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the golden screens: snapshot, size and state in, the recorded text out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import hostile
import pytest
import synthetic

from ebtop.control.pace import Pace
from ebtop.model import syscallnames
from ebtop.model.eventlog import EventLog
from ebtop.model.filters import KernelFilter, RowFilter
from ebtop.model.snapshot import ProbeStatus, Snapshot
from ebtop.ui.state import TO_THE_END, ViewState
from ebtop.ui.views.frame import Frame, frame_text, render
from ebtop.ui.views.line import line_cells


@dataclass(frozen=True)
class Screen:
    name: str
    size: tuple[int, int] = (80, 24)
    state: ViewState = field(default_factory=ViewState)
    machine: str = "office"


def _office() -> Snapshot:
    return synthetic.office()


def _proc() -> Snapshot:
    """What the /proc source gives to a user without privilege."""
    office = synthetic.office()
    nothing = replace(
        office.system, started=None, exited=None, execs=None, context_switches=None, threads=None,
        run_queue=None, run_queue_p99_ns=None, allocated_bytes=None, freed_bytes=None,
    )  # fmt: skip
    denied = tuple(
        ProbeStatus(probe.name, "denied", probe.hook, "needs CAP_BPF and CAP_PERFMON", None, None)
        for probe in office.probes
    )
    cost = replace(office.self_cost, probe_ns=None, probe_cpu_percent=None)
    return replace(
        office, source="proc", source_reason="not root: no CAP_BPF, no CAP_PERFMON",
        system=nothing, probes=denied, self_cost=cost, events=synthetic.events(()),
    )  # fmt: skip


def _unknown() -> Snapshot:
    """A machine of which nothing is known but names."""
    office = synthetic.office()
    host = replace(
        office.host, uptime_s=None, load=None, memory_total_bytes=None,
        memory_available_bytes=None, swap_total_bytes=None, pressure=None,
    )  # fmt: skip
    cost = replace(office.self_cost, cpu_percent=None, rss_bytes=None, probe_ns=None)
    rows = [synthetic.process(pid, b"who", known=0, start_ns=0) for pid in (5, 6, 7)]
    base = synthetic.snapshot(rows, interval_s=0.0, cpus=synthetic.cpus((None, 0.5)))
    system = replace(
        base.system, cpu_percent=None, started=None, exited=None, execs=None, cpu_parts=None,
        run_queue=None, run_queue_p99_ns=None,
    )  # fmt: skip
    return replace(base, host=host, self_cost=cost, system=system)


def _lost() -> Snapshot:
    office = synthetic.office()
    lost = {**office.self_cost.lost, "ring_buffer": 120}
    total = {**office.self_cost.lost_total, "ring_buffer": 4000, "thread_slots": 17}
    return replace(office, self_cost=replace(office.self_cost, lost=lost, lost_total=total))


def _hostile() -> Snapshot:
    names = [b"a\rFAKE", b"\x1b[2J", "日本語".encode(), b"caf\xe9", "x\u202ey".encode(), b"a\nb"]
    rows = [synthetic.running(100 + i, name, 900 - i) for i, name in enumerate(names)]
    base = synthetic.snapshot(rows, users={1000: "us\x1b[31mer"})
    return replace(base, host=replace(base.host, name=b"ho\x1b]0;st\x07"))


def _calling() -> Snapshot:
    return synthetic.calling()


def _filtered() -> Snapshot:
    """A filter that another process set, on a process that has ended since."""
    held = KernelFilter(pid=4242, uid=33, descendants=True, min_latency_ns=1_500_000)
    return replace(synthetic.calling(), filter=held)


def _losing() -> Snapshot:
    office = synthetic.calling()
    lost = {**office.self_cost.lost, "ring_buffer": 120, "event_rows": 9}
    total = {**office.self_cost.lost_total, "ring_buffer": 4000, "event_rows": 90}
    return replace(office, self_cost=replace(office.self_cost, lost=lost, lost_total=total))


def _asked() -> Snapshot:
    """The probe of system calls is about to run."""
    office = synthetic.office()
    status = ProbeStatus("syscall", "off", "", "not asked for", None, None)
    return replace(office, probes=(*office.probes, status))


def _denied() -> Snapshot:
    """The probe of system calls alone may not run."""
    office = synthetic.office()
    why = "the kernel has no tracepoint sys_enter"
    status = ProbeStatus("syscall", "unsupported", "", why, None, None)
    return replace(office, probes=(*office.probes, status))


def _storing() -> Snapshot:
    return synthetic.storing()


def _disks_denied() -> Snapshot:
    status = ProbeStatus("block", "denied", "", "needs CAP_BPF and CAP_PERFMON", None, None)
    office = synthetic.office()
    return replace(office, probes=(*office.probes, status))


def _threads() -> Snapshot:
    rows = [synthetic.running(501, b"python3", 400, tid=501 + i) for i in range(4)]
    rows.append(synthetic.process(501, b"io-worker", tid=777))
    return synthetic.snapshot(synthetic.office().processes.rows(), rows)


def _big() -> Snapshot:
    """128 CPUs, one of them never seen."""
    busy = [None if i == 9 else (i % 11) / 10 for i in range(128)]
    crowd = synthetic.crowd(300)
    return replace(crowd, cpus=synthetic.cpus(busy), host=replace(crowd.host, cpus=128))


MACHINES = {
    "office": _office, "proc": _proc, "unknown": _unknown, "lost": _lost, "hostile": _hostile,
    "threads": _threads, "big": _big, "calling": _calling, "filtered": _filtered,
    "losing": _losing, "asked": _asked, "denied": _denied, "storing": _storing,
    "disks-denied": _disks_denied,
    "logging": synthetic.logging, "talking": synthetic.talking, "waiting": synthetic.waiting,
    "remembering": synthetic.remembering,
}  # fmt: skip

_SELECTED = (501, 501 * 1_000_003, 501)
_PIECES, _FILTERED = ((pid, pid * 1_000_003) for pid in (77, 90))
_MEMORY = ViewState(looked_at=(501, 501 * 1_000_003), looked_at_memory=True)
_CLOSER = ViewState(looked_at=(500, 500 * 1_000_003))
_SLOW = Pace(4.0, 2.0, 0.5, 10.0, "machine busy")
SCREENS = (
    Screen("small", (40, 10)),
    Screen("usual", (80, 24)),
    Screen("large", (160, 50)),
    Screen("wide", (300, 20)),
    Screen("too-small", (39, 9)),
    Screen("too-narrow", (10, 3)),
    Screen("proc", (80, 24), machine="proc"),
    Screen("proc-small", (40, 10), machine="proc"),
    Screen("unknown", (120, 24), machine="unknown"),
    Screen("lost", (100, 24), machine="lost"),
    Screen("lost-small", (40, 10), machine="lost"),
    Screen("hostile", (80, 24), machine="hostile"),
    Screen("hostile-ascii", (80, 24), ViewState(ascii=True), "hostile"),
    Screen("big", (160, 50), machine="big"),
    Screen("threads", (100, 24), ViewState(threads=True), "threads"),
    Screen("tree", (120, 30), ViewState(tree=True)),
    Screen("tree-ascii", (120, 30), ViewState(tree=True, ascii=True)),
    Screen("filter-user", (80, 24), ViewState(filter=RowFilter.parse("user=root"))),
    Screen("filter-nothing", (80, 24), ViewState(filter=RowFilter.parse("nobody-has-this"))),
    Screen("filter-port", (100, 24), ViewState(filter=RowFilter.parse("port=80 nginx"))),
    Screen("sort-rss-reverse", (100, 24), ViewState(sort="rss", reverse=True)),
    Screen("file-columns", (120, 24), ViewState(column_set=4)),
    Screen("second-columns", (120, 24), ViewState(column_set=1)),
    Screen("help", (80, 40), ViewState(help_open=True)),
    Screen("help-end", (80, 24), ViewState(help_open=True, move=TO_THE_END)),
    Screen("syscalls", (80, 24), ViewState(focus=2), "asked"),
    Screen("syscalls-beside", (160, 45), ViewState(focus=2), "calling"),
    Screen("syscalls-usual", (80, 24), ViewState(focus=2, move=2), "calling"),
    Screen("syscalls-zoom", (80, 24), ViewState(focus=2, zoom=True, move=1), "calling"),
    Screen(
        "syscalls-ascii", (120, 30), ViewState(focus=2, zoom=True, ascii=True, move=3), "calling"
    ),
    Screen(
        "syscalls-sorted",
        (120, 30),
        ViewState(focus=2, syscall_sort="p99", syscall_reverse=True, window="reset"),
        "calling",
    ),
    Screen(
        "syscalls-of-all",
        (100, 30),
        ViewState(focus=2, filter=RowFilter.parse("python")),
        "calling",
    ),
    Screen("syscalls-small", (40, 10), ViewState(focus=2), "calling"),
    Screen("syscalls-huge", (200, 60), ViewState(focus=2, zoom=True, move=TO_THE_END), "calling"),
    Screen("syscalls-off", (80, 24), ViewState(focus=2, probes_off=frozenset({"syscall"}))),
    Screen("syscalls-denied", (100, 24), ViewState(focus=2), "denied"),
    Screen("syscalls-proc", (80, 24), ViewState(focus=2), "proc"),
    Screen("syscall-columns", (160, 24), ViewState(column_set=2), "calling"),
    Screen("disks", (120, 30), ViewState(focus=5, column_set=3), "storing"),
    Screen("disks-usual", (80, 24), ViewState(focus=5, ascii=True), "storing"),
    Screen("disks-zoom", (80, 24), ViewState(focus=5, zoom=True), "storing"),
    Screen("disks-small", (40, 10), ViewState(focus=5, move=1), "storing"),
    Screen("disks-off", (80, 24), ViewState(focus=5, probes_off=frozenset({"block"}))),
    Screen("disks-denied", (80, 24), ViewState(focus=5), "disks-denied"),
    Screen("disk-columns", (160, 24), ViewState(column_set=3), "storing"),
    Screen("opens", (100, 30), ViewState(focus=4, probes_off=frozenset()), "calling"),
    Screen("losing", (100, 30), ViewState(focus=4, probes_off=frozenset()), "losing"),
    Screen("probes", (100, 24), ViewState(probes_open=True, probes_at=1), "calling"),
    Screen("probes-proc", (80, 24), ViewState(probes_open=True), "proc"),
    Screen("filter-kernel", (120, 24), machine="filtered"),
    Screen("filter-dead", (80, 24), ViewState(filter=RowFilter.parse("4242,501"))),
    Screen("connections", (80, 24), ViewState(focus=3)),
    Screen("connections-wide", (200, 40), ViewState(focus=3, move=2), "talking"),
    Screen("connections-usual", (80, 24), ViewState(focus=3, zoom=True), "talking"),
    Screen(
        "connections-names",
        (120, 30),
        ViewState(
            focus=3,
            zoom=True,
            port_names=True,
            connection_sort="remote",
            connection_reverse=True,
            move=TO_THE_END,
        ),
        "talking",
    ),
    Screen(
        "connections-filter",
        (120, 24),
        ViewState(focus=3, filter=RowFilter.parse("port=80")),
        "talking",
    ),
    Screen("connections-small", (40, 10), ViewState(focus=3), "talking"),
    Screen("connections-off", (80, 24), ViewState(focus=3, probes_off=frozenset({"tcp"}))),
    Screen("network-columns", (140, 24), ViewState(column_set=5), "talking"),
    Screen("search-port", (120, 24), ViewState(search="port=5432", search_step=1), "talking"),
    Screen("wait-columns", (140, 24), ViewState(column_set=6), "waiting"),
    Screen("saturated", (120, 24), ViewState(sort="wlock"), "waiting"),
    Screen("closer", (120, 34), _CLOSER, "waiting"),
    Screen("closer-usual", (80, 24), _CLOSER.with_(ascii=True), "waiting"),
    Screen("closer-small", (40, 10), _CLOSER, "waiting"),
    Screen("closer-off", (80, 30), _CLOSER),
    Screen("closer-unknown", (80, 24), ViewState(looked_at=(5, 0)), "unknown"),
    Screen("closer-gone", (80, 24), ViewState(looked_at=(77, 1)), "waiting"),
    Screen("memory-columns", (160, 24), ViewState(column_set=7, sort="leak"), "remembering"),
    Screen("memory", (120, 44), _MEMORY, "remembering"),
    Screen("memory-usual", (80, 24), _MEMORY.with_(ascii=True), "remembering"),
    Screen("memory-small", (40, 10), _MEMORY, "remembering"),
    Screen(
        "memory-pieces",
        (80, 30),
        ViewState(looked_at=_PIECES, looked_at_memory=True),
        "remembering",
    ),
    Screen(
        "memory-filtered",
        (80, 24),
        ViewState(looked_at=_FILTERED, looked_at_memory=True),
        "remembering",
    ),
    Screen("memory-off", (80, 24), _MEMORY),
    Screen("memory-gone", (80, 24), ViewState(looked_at=(5, 1), looked_at_memory=True)),
    Screen("events", (100, 30), ViewState(focus=4)),
    Screen("events-logged", (100, 30), ViewState(focus=4, probes_off=frozenset()), "logging"),
    Screen("probes-last", (80, 24), ViewState(probes_open=True, probes_at=9), "calling"),
    Screen("events-small", (40, 10), ViewState(focus=4)),
    Screen("zoom", (80, 24), ViewState(zoom=True)),
    Screen("zoom-events", (80, 24), ViewState(zoom=True, focus=4)),
    Screen("selected", (80, 24), ViewState(selected=_SELECTED, tagged=frozenset({_SELECTED}))),
    Screen("moved", (80, 24), ViewState(selected=_SELECTED, move=3)),
    Screen("last", (80, 24), ViewState(move=TO_THE_END)),
    Screen("paused", (80, 24), ViewState(paused=True, cumulative=True, pace=_SLOW)),
    Screen("prompt", (80, 24), ViewState(prompt=("filter", "user=ro"))),
    Screen("error", (80, 24), ViewState(message=("filter: there is no user x\x1b[2J", True))),
)


@pytest.fixture(autouse=True)
def _x86_64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of system calls are those of the machine that recorded the screens."""
    monkeypatch.setattr(syscallnames, "_architecture", lambda compat: ("x86_64", "i386")[compat])


def draw(screen: Screen) -> Frame:
    snapshot = MACHINES[screen.machine]()
    log = EventLog()
    for _ in range(3 if screen.machine == "losing" else 1):
        log.absorb(snapshot)
    return render(
        snapshot, screen.state, *screen.size, log.lines, log.totals, synthetic.OFFICE_CMDLINES
    )


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: str(screen.name))
def test_screen_is_as_recorded(screen: Screen, golden: Callable[[str, str], None]) -> None:
    golden(screen.name, frame_text(draw(screen)))


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: str(screen.name))
def test_every_line_is_exactly_the_width(screen: Screen) -> None:
    frame = draw(screen)
    assert len(frame.lines) == screen.size[1]
    assert {line_cells(spans) for spans in frame.lines} == {screen.size[0]}


SIZES = [(1, 1), (5, 2), (39, 40), (40, 9), (40, 10), (41, 11), (79, 17), (80, 24), (500, 200)]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_any_size_gives_whole_lines(machine: str, size: tuple[int, int]) -> None:
    states: list[dict[str, Any]] = [
        {}, {"focus": 2}, {"focus": 2, "zoom": True, "move": 4}, {"probes_open": True},
        {"focus": 4, "zoom": True}, {"help_open": True}, {"tree": True},
        {"focus": 5}, {"column_set": 3},
        {"threads": True}, {"column_set": 1}, {"prompt": ("filter", "x" * 600)},
        {"message": ("日" * 400, False)}, {"move": TO_THE_END, "shift": 3},
    ]  # fmt: skip
    for changes in states:
        frame = draw(Screen("any", size, ViewState(**changes), machine))
        assert len(frame.lines) == size[1]
        assert all(line_cells(spans) == size[0] for spans in frame.lines)


def test_corpus_is_large() -> None:
    assert len(hostile.names()) >= 300
