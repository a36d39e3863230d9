# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the ways in which a guest can be booted, and which tests run in each.

A new one is a row here, and tests marked `setting("its name")`.
"""

from __future__ import annotations

from dataclasses import dataclass

LIVE = ("tests/live",)
KNOWN_WORK = tuple(
    f"tests/live/test_{name}.py"
    for name in ("environment", "variants", "facts", "lives", "syscalls", "open_stream", "selftest")
)
"""Of each metric the tests that count known work; the others are about ebtop, not the kernel."""
FAULTS = ("tests/faults",)


@dataclass(frozen=True)
class Setting:
    """`append` goes to the kernel's command line; `forced`: a skip of a live test is a failure;
    `by_default`: part of a run that names no setting, on all kernels or on the two `ends` alone."""

    name: str
    tests: tuple[str, ...]
    append: str = ""
    smp: str = "2"
    memory_mib: int = 2048
    seconds: int = 1500
    forced: bool = False
    by_default: bool = True
    ends: bool = False
    why: str = ""


SETTINGS = (
    Setting("standard", LIVE, forced=True, seconds=2400, why="the live tests, as on this machine"),
    Setting("brief", KNOWN_WORK, forced=True, by_default=False, why="`make test`: known work"),
    Setting("plain", FAULTS, why="faults that need no other way of booting"),
    Setting("hotplug", FAULTS, smp="2,maxcpus=4", why="CPUs that come and go; more could be there"),
    Setting("integrity", FAULTS, append="lockdown=integrity", why="kernel lockdown"),
    Setting("confidentiality", FAULTS, append="lockdown=confidentiality", why="its strictest form"),
    Setting("small", FAULTS, memory_mib=384, why="memory that one process can use up"),
    Setting(
        "soak",
        ("tests/soak",),
        seconds=1500,
        ends=True,
        why="ten minutes under load: leaks, losses",
    ),
)


DEFAULT = tuple(setting for setting in SETTINGS if setting.by_default)


def by_name(name: str) -> Setting:
    """Raises KeyError, which names those that there are."""
    for setting in SETTINGS:
        if setting.name == name:
            return setting
    raise KeyError(f"no setting {name!r}; there are: {', '.join(s.name for s in SETTINGS)}")
