# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what the dashboard asks of its source beside refreshes: which probes run, and the filter.

What is needed comes as a value from the frame; what the user filters by, from the view. A filter
that another process set stays until the user sets one here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from ebtop import viewstate
from ebtop.host import uid_of
from ebtop.snapshot import Filter
from ebtop.sources import Source


class Steering:
    """Remembers what runs, so that the source is asked only when that changes."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._probes: Optional[frozenset[str]] = None

    def run_probes(self, probes: frozenset[str]) -> None:
        """Of the probes that come and go, these and no others run from now on."""
        if probes != self._probes:
            self._probes = probes
            self._source.switch(probes)

    def set_filter(self, wanted: viewstate.Filter, now: Filter) -> None:
        """What the kernel can tell of the wanted filter holds from the next event on."""
        self._source.set_filter(kernel_filter(wanted, now))


def kernel_filter(wanted: viewstate.Filter, now: Filter) -> Filter:
    """One pid and one user: the kernel side knows no more. The rest of `now` stays in force."""
    pid = min(wanted.pids) if len(wanted.pids) == 1 else 0
    uid = None if wanted.user is None else uid_of(wanted.user)
    return replace(now, pid=pid, uid=uid, descendants=now.descendants and now.pid == pid)
