# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What is too dear does not run, is said everywhere, and comes back; without a kernel."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Optional

import synthetic

from ebtop.control.budget import Budget
from ebtop.control.probe_control import ProbeControl
from ebtop.model.snapshot import ProbeStatus, Snapshot
from ebtop.outputs.sample_json import sample_line
from ebtop.probes import STANDING
from ebtop.ui.state import ViewState
from ebtop.ui.views.frame import frame_text, render

CALLS = "tp_btf/sys_exit, tp_btf/sys_enter"
HOOKS = {
    "syscall": CALLS,
    "vfs": f"{CALLS}, tp_btf/mm_filemap",
    "block": "tp_btf/block_rq",
    "stacks": "in sched",
}


class Source:
    """Remembers what it was asked to run."""

    def __init__(self) -> None:
        self.asked: list[frozenset[str]] = []

    def switch(self, probes: Iterable[str]) -> None:
        self.asked.append(frozenset(probes))


def second(spent_ms: dict[str, Optional[float]], own_percent: float = 0.4) -> Snapshot:
    """A second in which these probes ran and cost so much."""
    base = synthetic.office()
    probes = tuple(
        ProbeStatus(name, "on", HOOKS[name], None, 1, None if ms is None else int(ms * 1e6))
        for name, ms in spent_ms.items()
    )
    off = tuple(
        ProbeStatus(name, "off", "", "not asked for", None, None)
        for name in HOOKS
        if name not in spent_ms
    )
    known = None not in spent_ms.values()
    cost = replace(
        base.self_cost, cpu_percent=own_percent, probe_ns=1000 if known else None,
    )  # fmt: skip
    return replace(base, probes=(*base.probes, *probes, *off), self_cost=cost)


def steered(percent: float, named: Iterable[str] = ()) -> tuple[ProbeControl, Source, Budget]:
    source, budget = Source(), Budget(percent)
    running = [*STANDING, "syscall", "vfs", "block"]
    probe_control = ProbeControl(source, budget, running, named)  # type: ignore[arg-type]
    return probe_control, source, budget


def apply_budget(
    probe_control: ProbeControl, spent_ms: dict[str, Optional[float]], times: int
) -> Snapshot:
    for _ in range(times):
        snapshot = probe_control.apply_budget(second(spent_ms))
        probe_control.run_probes()
    return snapshot


def test_within_the_budget_nobody_is_asked_for_anything() -> None:
    probe_control, source, _ = steered(2.0)
    snapshot = apply_budget(probe_control, {"syscall": 1, "vfs": 1, "block": 1}, 20)
    assert source.asked == []
    assert snapshot.spending is not None and not snapshot.spending.shed
    # 0.4 % of one of two CPUs, 3 ms of 2 s, and the standing probes' 1.02 ms
    assert round(snapshot.spending.percent or 0, 3) == 0.401


def test_those_that_share_programs_are_shed_together() -> None:
    probe_control, source, budget = steered(2.0)
    apply_budget(probe_control, {"syscall": 60, "vfs": 1, "block": 1}, 3)
    assert source.asked == [{"block"}]
    assert list(budget.shed) == ["syscall"]


def test_rider_pays_for_the_programs_that_carry_it() -> None:
    probe_control, source, _ = steered(2.0)
    probe_control.run_probes(frozenset(("vfs", "block")))
    apply_budget(probe_control, {"syscall": 60, "vfs": 1, "block": 1}, 3)
    assert source.asked == [{"vfs", "block"}, {"block"}]


def test_where_functions_are_hooked_each_goes_alone() -> None:
    probe_control, source, _ = steered(2.0)
    for _ in range(3):
        one = second({"syscall": 60, "vfs": 1, "block": 1})
        alone = tuple(replace(p, hook="fexit/vfs_read") if p.name == "vfs" else p
                      for p in one.probes)  # fmt: skip
        probe_control.apply_budget(replace(one, probes=alone))
        probe_control.run_probes()
    assert source.asked == [{"vfs", "block"}]


def test_what_is_shed_is_said_everywhere() -> None:
    probe_control, _, _ = steered(2.0, named=["vfs"])
    apply_budget(probe_control, {"syscall": 60, "vfs": 1, "block": 1}, 3)
    snapshot = apply_budget(probe_control, {"block": 1}, 1)
    probes = {probe.name: probe for probe in snapshot.probes}
    assert (probes["syscall"].state, probes["vfs"].state) == ("off", "off")
    assert (probes["syscall"].reason or "").startswith("shed: cost 3.4% of 2% budget")
    assert (probes["vfs"].reason or "").endswith("; though --probes names it")
    sample: dict[str, Any] = json.loads(sample_line(snapshot))
    assert sample["self"]["shed"] == ["syscall", "vfs"]
    assert sample["self"]["budget_percent"] == 2.0
    assert sample["self"]["machine_percent"] == round(0.2 + 0.05 + 0.051, 3)
    found = {probe["name"]: probe for probe in sample["probes"]}
    assert found["syscall"]["state"] == "off" and "of 2% budget" in found["syscall"]["reason"]
    text = frame_text(render(snapshot, ViewState(), 200, 40))
    assert "budget 0.30/2%  shed syscall vfs" in text
    assert "shed: cost 3.4% of 2% budget" in text
    menu = frame_text(render(snapshot, ViewState(probes_open=True), 160, 40))
    assert "shed: cost 3.4% of 2% budget" in menu


def test_unknown_cost_is_said_and_only_its_own_counts() -> None:
    probe_control, source, _ = steered(0.1)
    snapshot = apply_budget(probe_control, {"syscall": None, "vfs": None, "block": None}, 1)
    assert snapshot.spending is not None and snapshot.spending.percent is None
    text = frame_text(render(snapshot, ViewState(), 200, 40))
    assert "budget -/0.1% (what programs cost is unknown)" in text
    apply_budget(probe_control, {"syscall": None, "vfs": None, "block": None}, 2)
    assert source.asked == [{"block"}]


def test_what_is_left_when_nothing_helps_is_said() -> None:
    probe_control, source, _ = steered(0.1)
    snapshot = apply_budget(probe_control, {}, 5)
    assert source.asked == []
    assert "over, what is left stays" in frame_text(render(snapshot, ViewState(), 200, 40))
    assert json.loads(sample_line(snapshot))["self"]["over_budget"] is True


def test_it_comes_back_and_only_what_is_wanted_by_then() -> None:
    probe_control, source, budget = steered(2.0)
    apply_budget(probe_control, {"syscall": 60, "vfs": 1, "block": 1}, 3)
    probe_control.run_probes(frozenset(("syscall",)))
    apply_budget(probe_control, {}, 12)
    assert not budget.shed
    assert source.asked == [{"block"}, frozenset(), {"syscall"}]


def test_stacks_are_shed_for_what_they_cost_themselves() -> None:
    probe_control, source, _ = steered(2.0)
    probe_control.run_probes(frozenset(("stacks", "block")))
    for stacks_ms in (1, 1, 1, 1, 60, 60, 60):
        # while ebtop itself is dear it would help nobody
        own = 4.2 if stacks_ms == 1 else 0.4
        probe_control.apply_budget(second({"stacks": stacks_ms, "block": 1}, own_percent=own))
        probe_control.run_probes()
    assert source.asked == [{"stacks", "block"}, {"block"}]


def test_proc_has_no_budget() -> None:
    probe_control, source, _ = steered(0.1)
    snapshot = replace(second({}), source="proc")
    assert probe_control.apply_budget(snapshot) is snapshot and source.asked == []
