# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Whether the machine is what the live tier takes it for. conftest.py has it run first."""

from __future__ import annotations

from ebtop.probes import CHOOSABLE
from ebtop.probes import NAMES as PROBES
from ebtop.sources.bpf import Session


def test_environment_is_capable() -> None:
    with Session(CHOOSABLE) as session:
        probes = session.refresh().probes
    assert [probe.name for probe in probes] == list(PROBES)
    assert {probe.name: probe.reason for probe in probes if probe.state not in ("on", "off")} == {}
