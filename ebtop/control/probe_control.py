# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the control of a source: which of its probes run, and its filter.

The frame says which probes are needed, the view has the user's filter, and the budget decides which
probes are too expensive. A filter set by another process holds until the user sets one here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Optional

from ebtop.control.budget import Budget, Look
from ebtop.control.choose import Source
from ebtop.model.filters import KernelFilter, RowFilter
from ebtop.model.snapshot import ProbeStatus, Snapshot, Spending
from ebtop.probes import STANDING, SYSCALL, rank
from ebtop.sources.host import uid_of

_CARRIER = SYSCALL.name
"""Where functions cannot be hooked, others count through its programs."""


class ProbeControl:
    """Remembers which probes run, so that the source is called only for a change.

    `running` are the on-demand probes that run already, `named` those named on the command line.
    """

    def __init__(
        self,
        source: Source,
        budget: Optional[Budget] = None,
        running: Optional[Iterable[str]] = None,
        named: Iterable[str] = (),
    ) -> None:
        self._source = source
        self._budget = budget
        self._wanted = frozenset(running or ()).difference(STANDING)
        self._runs = None if running is None else self._wanted
        self._named = frozenset(named)
        self._looked_at = 0
        self._members: dict[str, frozenset[str]] = {}
        self._timed = self._asked = 1
        """`every` as it was in the interval that ended."""

    def run_probes(self, probes: Optional[frozenset[str]] = None) -> None:
        """Runs exactly these on-demand probes, except for shed ones; None: the same as before."""
        if probes is not None:
            self._wanted = probes
        running = self._wanted - self._shed()
        if running != self._runs:
            self._runs = running
            self._source.switch(running)

    def look_at(self, pid: int) -> None:
        """Counts waits by stack and bytes by file for this process; 0: for none."""
        if pid != self._looked_at:
            self._looked_at = pid
            self._source.look_at(pid)

    def set_filter(self, wanted: RowFilter, now: KernelFilter) -> None:
        """Sets the part of the filter that the kernel understands, from the next event on."""
        self._source.set_filter(kernel_filter(wanted, now))

    # ---- the budget ----

    def apply_budget(self, snapshot: Snapshot) -> Snapshot:
        """Charges the interval to the budget; returns the snapshot with the shed probes marked.

        The next `run_probes` carries the decision out, because loading a probe takes time.
        """
        budget = self._budget
        if budget is None or snapshot.source != "bpf":
            return snapshot
        units = self._units(snapshot)
        # the sampling rate set by the previous refresh applied to this interval
        self._timed, self._asked = self._asked, self.every
        look = _look(snapshot, units)
        probes = tuple(self._status(probe) for probe in snapshot.probes)
        if look is not None:
            budget.look(look)
            self._members.update((name, units[name]) for name in budget.shed if name in units)
        known = snapshot.self_cost.probe_ns is not None
        spending = Spending(
            budget.percent,
            budget.total if known and look is not None else None,
            tuple(budget.every),
            tuple(probe.name for probe in snapshot.probes if probe.name in self._shed()),
            budget.stuck,
        )
        return replace(snapshot, probes=probes, spending=spending)

    def _shed(self) -> frozenset[str]:
        shed = () if self._budget is None else self._budget.shed
        return frozenset().union(*(self._members.get(name, frozenset()) for name in shed))

    @property
    def every(self) -> int:
        """One of this many system calls is to be timed."""
        return 1 if self._budget is None else self._budget.every.get(_CARRIER, 1)

    def _units(self, snapshot: Snapshot) -> dict[str, frozenset[str]]:
        """The units of shedding by name: single probes, and one unit of probes that share
        programs."""
        sharing = _sharing(snapshot)
        on = {probe.name for probe in snapshot.probes if probe.state == "on"}
        units = {name: frozenset((name,)) for name in (self._wanted & on) - sharing}
        together = self._wanted & sharing
        if together:
            units[min(together, key=rank)] = together
        return units

    def _status(self, probe: ProbeStatus) -> ProbeStatus:
        """The status with the reason if the probe is shed; the collector only knows that it is not
        wanted."""
        budget = self._budget
        for name, shed in budget.shed.items() if budget else ():
            if budget and probe.name in self._members.get(name, ()):
                reason = f"shed: cost {shed.total:.2g}% of {budget.percent:g}% budget"
                if shed.cost is not None:
                    reason += f", of that {shed.cost:.2g}% this one"
                if probe.name in self._named:
                    reason += "; though --probes names it"
                return ProbeStatus(probe.name, "off", "", reason, None, None)
        if probe.state == "on" and probe.name == _CARRIER and self._timed > 1:
            return replace(probe, every=self._timed)
        return probe


def _sharing(snapshot: Snapshot) -> frozenset[str]:
    """The carrier and the probes that count through its programs."""
    hooks = {probe.name: probe.hook for probe in snapshot.probes if probe.state == "on"}
    carrier = hooks.get(_CARRIER)
    return frozenset(name for name, hook in hooks.items() if carrier and carrier in hook)


def _look(snapshot: Snapshot, units: dict[str, frozenset[str]]) -> Optional[Look]:
    """The costs of the interval; None if ebtop's own cost is unknown."""
    own = snapshot.self_cost.cpu_percent
    if own is None or snapshot.interval_s <= 0:
        return None
    cpus = max(1, snapshot.host.cpus)
    machine_ns = snapshot.interval_s * 1e9 * cpus
    spent = {probe.name: probe.run_ns for probe in snapshot.probes if probe.state == "on"}
    sharing = _sharing(snapshot)
    # the cost of shared programs is the carrier's, even if the carrier was not asked for
    paid = {name: members | (sharing & {_CARRIER} if members & sharing else set())
            for name, members in units.items()}  # fmt: skip
    rest = set(spent).difference(*paid.values())
    costs = {name: _cost(members, spent, machine_ns) for name, members in paid.items()}
    standing = sum(spent[name] or 0 for name in rest)
    return Look(snapshot.interval_s, own / cpus + standing * 100 / machine_ns, costs)


def _cost(
    members: frozenset[str], spent: dict[str, Optional[int]], machine_ns: float
) -> Optional[float]:
    parts = [spent[name] for name in members]
    known = [part for part in parts if part is not None]
    return sum(known) * 100 / machine_ns if len(known) == len(parts) else None


def kernel_filter(wanted: RowFilter, now: KernelFilter) -> KernelFilter:
    """The kernel filters by one pid and one user; the rest of `now` stays in force."""
    pid = min(wanted.pids) if len(wanted.pids) == 1 else 0
    uid = None if wanted.user is None else uid_of(wanted.user)
    return replace(now, pid=pid, uid=uid, descendants=now.descendants and now.pid == pid)
