# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The line that the dashboard leaves behind."""

from __future__ import annotations

from dataclasses import replace

import synthetic

from ebtop.model.snapshot import Snapshot
from ebtop.ui.summary import Summary


def _sample(seconds: float, percent: float | None, probe_ns: int | None, lost: int = 0) -> Snapshot:
    base = synthetic.office()
    cost = replace(
        base.self_cost, cpu_percent=percent, probe_ns=probe_ns, lost_total={"forks": lost}
    )
    return replace(base, interval_s=seconds, self_cost=cost)


def _text(*samples: Snapshot) -> str:
    summary = Summary()
    for sample in samples:
        summary.absorb(sample)
    return summary.text()


def test_shares_are_of_all_the_time() -> None:
    text = _text(_sample(1.0, 1.0, 1_000_000), _sample(3.0, 3.0, 7_000_000))
    assert text == (
        "ebtop: 2 samples in 4.00s; it used 2.50% of a CPU, its probes 0.20%; nothing was lost"
    )


def test_what_is_unknown_once_is_unknown() -> None:
    text = _text(_sample(1.0, 1.0, 1), _sample(1.0, None, None))
    assert "it used - of a CPU, its probes -" in text


def test_losses_are_said_and_proc_has_none() -> None:
    assert _text(_sample(1.0, 1.0, 1, lost=7)).endswith("7 events or counts were lost")
    proc = replace(_sample(1.0, 1.0, None), source="proc")
    assert _text(proc) == "ebtop: 1 sample in 1.00s; it used 1.00% of a CPU"


def test_nothing_is_left_behind_when_nothing_was_seen() -> None:
    assert _text() == ""
