# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns how much memory is left to a process, in the machine and under the limits of its cgroups.

It is asked only for processes that seem to leak: a few small files per refresh.
"""

from __future__ import annotations

from typing import Optional

from ebtop.model.snapshot import Snapshot
from ebtop.sources.cgroups import CgroupPaths
from ebtop.sources.host import read_small


class Limits:
    """Knows the way from a cgroup's number to its files."""

    def __init__(self, cgroups: Optional[CgroupPaths] = None) -> None:
        self._cgroups = cgroups

    def room(self, cgroup: int, snapshot: Snapshot) -> tuple[Optional[str], Optional[int]]:
        """The limit that will be reached first, and the bytes left; None where unknown."""
        machine = snapshot.host.memory_available_bytes
        below = self._below_limits(cgroup)
        if below is not None and (machine is None or below < machine):
            return "cgroup", below
        return (None, None) if machine is None else ("machine", machine)

    def _below_limits(self, cgroup: int) -> Optional[int]:
        """The smallest room left by any limit of its cgroup or of the cgroups above."""
        if self._cgroups is None:
            self._cgroups = CgroupPaths()
        path, root = self._cgroups.get(cgroup), self._cgroups.root
        least: Optional[int] = None
        while path and root is not None and path != b"/":
            limit = _number(root + path + b"/memory.max")
            used = _number(root + path + b"/memory.current")
            if limit is not None and used is not None:
                left = max(0, limit - used)
                least = left if least is None else min(least, left)
            path = path.rpartition(b"/")[0]
        return least


def _number(path: bytes) -> Optional[int]:
    """None for a limit that is not set, too."""
    word = (read_small(path) or b"").strip()
    return int(word) if word.isdigit() and len(word) <= 19 else None


def most_mappings() -> Optional[int]:
    """How many mappings a process may have."""
    return _number(b"/proc/sys/vm/max_map_count")
