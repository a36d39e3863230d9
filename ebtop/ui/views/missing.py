# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what a panel says where it has nothing to show because of a probe."""

from __future__ import annotations

from ebtop.model.snapshot import Snapshot
from ebtop.probes import Probe
from ebtop.text import displayable
from ebtop.ui.state import ViewState

SWITCHED_OFF = "its probe is switched off: s switches probes"


def why_missing(probe: Probe, snapshot: Snapshot, state: ViewState) -> str:
    """Why the probe tells nothing; empty where it runs, or is about to."""
    if probe.name in state.probes_off:
        return SWITCHED_OFF
    status = next((own for own in snapshot.probes if own.name == probe.name), None)
    if status is None:
        return probe.absent
    reason = displayable(status.reason or "", state.ascii)
    if status.state == "off":
        shed = snapshot.spending is not None and probe.name in snapshot.spending.shed
        return reason if shed else ""
    if status.state == "on":
        return ""
    return f"{status.state}: {reason}" if reason else status.state
