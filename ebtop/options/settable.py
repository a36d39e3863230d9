# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns which keys of `ebtop set` each command obeys while it runs.

A session publishes its keys as bits in the map that holds its filter. So `ebtop set` can refuse a
key without effect, without any communication with that process.
"""

from __future__ import annotations

from collections.abc import Iterable

KEYS = ("pid", "user", "descendants", "min_latency", "min_size", "port", "exclude_pid", "syscall",
        "min")  # fmt: skip
"""In the order of their bits. `uid` is `user` by number."""
_WHOSE = ("pid", "user", "descendants", "exclude_pid")
_SAMPLES = (*_WHOSE, "min_latency", "port", "syscall")
BY_COMMAND = {
    "dashboard": _SAMPLES,
    "once": _SAMPLES,
    "batch": _SAMPLES,
    "json": _SAMPLES,
    "open": (*_WHOSE, "min_latency"),
    "tcp": (*_WHOSE, "port"),
    "mem": (*_WHOSE, "min_size"),
    "kprobe": (*_WHOSE, "min_latency"),
    "syscalls": (*_WHOSE, "min_latency", "syscall"),
    "slow": (*_WHOSE, "syscall", "min"),
    "signals": ("pid",),
}
"""Other commands obey no key: `exec` filters its output itself, `run` has its own command."""


def bits(command: str) -> int:
    return sum(1 << KEYS.index(key) for key in BY_COMMAND.get(command, ()))


def names(accepted: int) -> list[str]:
    return [key for index, key in enumerate(KEYS) if accepted >> index & 1]


def refused(changes: Iterable[str], accepted: int) -> list[str]:
    """The given keys that would have no effect."""
    known = set(names(accepted))
    return [key for key in changes if ("user" if key == "uid" else key) not in known]
