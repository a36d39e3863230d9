# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The one way of a snapshot: source, budget, memory, whoever listens; for samples and dashboard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import synthetic

from ebtop.control.refresh import Refresher
from ebtop.model.snapshot import ProbeStatus, Request, Snapshot
from ebtop.probes import STANDING
from ebtop.ui.state import ViewState

DEAR = ProbeStatus("block", "on", "tp_btf/block_rq", None, 1, 200_000_000)
"""A fifth of one of two CPUs."""


class Source:
    """Remembers what it was asked for; a second passes with every refresh."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.runs: list[frozenset[str]] = []

    def refresh(self, **asked: Any) -> Snapshot:
        self.asked.append(asked)
        base = synthetic.office()
        now = base.taken_ns + len(self.asked) * 1_000_000_000
        return replace(base, taken_ns=now, since_ns=base.taken_ns, probes=(*base.probes, DEAR))

    def switch(self, probes: Iterable[str]) -> None:
        self.runs.append(frozenset(probes))


def refresher(source: Source, percent: float = 50.0) -> Refresher:
    return Refresher(source, percent, [*STANDING, "block"])  # type: ignore[arg-type]


def test_what_is_asked_for_reaches_the_source() -> None:
    source = Source()
    one = refresher(source)
    one.begin(Request(threads=True))
    one.refresh(Request(True, True, "reset", True), reset=True)
    assert source.asked[0] == {"threads": True, "cost": True, "cumulative": False}
    assert source.asked[1] == {
        "threads": True, "cost": True, "cumulative": True, "reset": True, "window": "reset",
        "functions": True, "every": 1,
    }  # fmt: skip


def test_listeners_get_what_is_returned_and_not_what_only_begins() -> None:
    one = refresher(Source())
    heard: list[Snapshot] = []
    one.tell(heard.append)
    one.begin(Request())
    assert not heard
    last = one.refresh(Request())
    assert heard == [last]
    assert last.spending is not None and last.leaks is None, "the probe of memory does not run"


def test_what_is_too_dear_is_said_in_the_same_snapshot_and_shed() -> None:
    source = Source()
    one = refresher(source, 2.0)
    while not one.refresh(Request()).spending.shed:  # type: ignore[union-attr]
        one.probe_control.run_probes()
        assert len(source.asked) < 5
    one.probe_control.run_probes()
    assert source.runs == [frozenset()]


def test_a_view_asks_for_what_it_cannot_show_otherwise() -> None:
    state = ViewState()
    assert state.request == Request()
    assert state.with_(threads=True, cumulative=True, window="reset").request == Request(
        True, True, "reset"
    )
    assert state.with_(sort="rss", reverse=True, tree=True, zoom=True).request == Request()
    query = state.with_(sort="rss", reverse=True, tree=True, threads=True).query
    assert (query.sort.name, query.reverse, query.tree, query.threads) == ("rss", True, True, True)
