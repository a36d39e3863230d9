# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the checks of the table of probes: it is the collector's, whole, and the only one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import synthetic

from ebtop import probes
from ebtop.model.layout import enum_names
from ebtop.model.process_table import COLUMNS
from ebtop.model.snapshot import ProbeStatus, Spending
from ebtop.options.commandline import parse
from ebtop.options.options import COMMANDS
from ebtop.options.streams import SLOW_KINDS
from ebtop.probes import BY_NAME, NAMES, PROBES, Probe
from ebtop.ui.state import ViewState
from ebtop.ui.views.missing import SWITCHED_OFF, why_missing

PACKAGE = Path(__file__).resolve().parents[2] / "ebtop"
OF_EVENTS = {
    "model/eventlog.py", "outputs/eventlines.py", "commands/streamlines.py", "options/settable.py",
    "options/streams.py", "options/options.py", "ui/views/events.py",
}  # fmt: skip
"""These have tables of types of events, or of commands, some of which are called like a probe."""


def test_names_and_their_order_are_the_collectors() -> None:
    assert enum_names("enum ebtop_probe", "EBTOP_", "EBTOP_PROBES") == NAMES


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_a_row_is_whole(probe: Probe) -> None:
    assert bool(probe.menu) == probe.on_demand
    assert (probe.shed_rank is not None) == probe.on_demand
    assert probe.on_demand or not probe.off_at_first
    assert not probe.carrier or BY_NAME[probe.carrier].on_demand
    assert set(probe.commands) | set(probe.helps) <= set(COMMANDS)
    assert probe.slow_kind in ("", *SLOW_KINDS)
    columns = [column for column in COLUMNS if column.probe == probe.name]
    assert not probe.on_demand or probe.panel or probe.sights or columns


def test_no_two_are_shed_first_and_columns_name_probes_that_exist() -> None:
    ranks = [probe.shed_rank for probe in PROBES if probe.shed_rank is not None]
    assert len(set(ranks)) == len(ranks)
    assert {column.probe for column in COLUMNS} <= {*NAMES}


def test_what_runs_where_nothing_is_said() -> None:
    assert probes.STANDING == ("sched", "life", "tasks")
    assert probes.DEFAULT == (
        "sched", "life", "tasks", "syscall", "block", "vfs", "tcp", "stacks", "mem",
    )  # fmt: skip
    assert set(NAMES) - set(probes.CHOOSABLE) == {"kfunc", "sockets"}


@pytest.mark.parametrize(
    ("words", "wanted", "helps"),
    [
        ("exec", "sched life", "sched"),
        ("open", "sched open", "sched"),
        ("kprobe vfs_read", "sched kfunc", "sched"),
        ("slow", "sched life syscall block stacks", "sched life stacks"),
        ("slow --kind disk", "sched life block", "sched life"),
        ("slow --kind wait,syscall", "sched life syscall stacks", "sched life stacks"),
    ],
)
def test_probes_of_a_stream(words: str, wanted: str, helps: str) -> None:
    options = parse(words.split())
    found = probes.for_stream(options.command, options.kinds)
    assert found == (tuple(wanted.split()), {*helps.split()})


def test_run_leaves_out_what_counts_through_a_probe_that_is_left_out() -> None:
    found = parse(["run", "--no-probes", "syscall", "--", "true"]).probes
    assert found == ("sched", "life", "tasks", "block", "tcp", "stacks")


def lists(path: Path) -> Iterator[list[str]]:
    """Names of probes that stand in one literal tuple, list, set, or as keys of a dict."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        parts = getattr(node, "elts", None) or (node.keys if isinstance(node, ast.Dict) else ())
        yield [
            part.value for part in parts if isinstance(part, ast.Constant) and part.value in NAMES
        ]


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "probes.py" or "views" in str(path)
    ],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_no_other_module_lists_probes(path: Path) -> None:
    if str(path.relative_to(PACKAGE)) not in OF_EVENTS:
        assert all(len(found) < 2 for found in lists(path))


STATES = {
    "on": "", "off": "", "denied": "denied: no right", "unsupported": "unsupported: no right",
    "failed": "failed: no right",
}  # fmt: skip


@pytest.mark.parametrize(
    "probe", [BY_NAME[name] for name in probes.ON_DEMAND], ids=lambda p: p.name
)
@pytest.mark.parametrize("state", STATES)
def test_every_panel_says_the_same_of_a_probe(probe: Probe, state: str) -> None:
    status = ProbeStatus(probe.name, state, "", "no right", None, None)
    snapshot = replace(synthetic.office(), probes=(status,))
    on = ViewState(probes_off=frozenset())
    assert why_missing(probe, snapshot, on) == STATES[state]
    off = ViewState(probes_off=frozenset((probe.name,)))
    assert why_missing(probe, snapshot, off) == SWITCHED_OFF
    assert why_missing(probe, replace(snapshot, probes=()), on) == probe.absent


def test_what_is_shed_is_not_said_to_be_about_to_run() -> None:
    status = ProbeStatus("tcp", "off", "", "shed: cost 3.4% of 2% budget", None, None)
    snapshot = replace(
        synthetic.office(), probes=(status,), spending=Spending(2.0, 3.4, shed=("tcp",))
    )
    assert why_missing(probes.TCP, snapshot, ViewState()) == "shed: cost 3.4% of 2% budget"
