# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the description of the machine in a report: what is needed to repeat the measurement.

Every file may be missing: the value is then None.
"""

from __future__ import annotations

import os
from typing import Any, Optional

from ebtop import __version__
from ebtop.sources.host import online_cpus, parse_meminfo, read_small
from ebtop.text import data_text

_MODEL = (b"model name", b"Model", b"cpu model", b"uarch")


def machine() -> dict[str, Any]:
    """As JSON has it."""
    online = online_cpus()
    own = _own_cgroup()
    system = os.uname()
    return {
        "ebtop": __version__,
        "kernel": system.release,
        "architecture": system.machine,
        "cpu_model": cpu_model(read_small("/proc/cpuinfo")),
        "cpus": len(online) if online else os.cpu_count(),
        "governor": _word("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "memory_total_bytes": parse_meminfo(read_small("/proc/meminfo")).get(b"MemTotal"),
        "cgroup": None if own is None else data_text(own),
        "cgroup_cpu_max": _limit(own, b"cpu.max"),
        "cgroup_memory_max": _limit(own, b"memory.max"),
    }


def cpu_model(data: Optional[bytes]) -> Optional[str]:
    """The model from /proc/cpuinfo, whose keys differ between architectures."""
    for line in (data or b"").splitlines():
        name, colon, value = line.partition(b":")
        if colon and name.strip() in _MODEL and value.strip():
            return data_text(value.strip())
    return None


def _own_cgroup(root: str = "/proc") -> Optional[bytes]:
    for line in (read_small(f"{root}/self/cgroup") or b"").splitlines():
        if line.startswith(b"0::/"):
            return line[3:]
    return None


def _limit(group: Optional[bytes], name: bytes) -> Optional[str]:
    """The limit of the nearest cgroup that has one; None if none has."""
    if group is None:
        return None
    path = b"/sys/fs/cgroup" + group
    while path.startswith(b"/sys/fs/cgroup"):
        data = read_small(os.path.join(path, name))
        if data and not data.startswith(b"max"):
            return data_text(data.strip())
        path = os.path.dirname(path)
    return None


def _word(path: str) -> Optional[str]:
    data = read_small(path)
    return data_text(data.strip()) if data else None
