# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the list of kernels that ebtop is tried on: the one place where they are pinned.

Each is looked up in a suite of Debian when it is fetched, since packages of old versions vanish
from the archive's lists; the version found is what the report names.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kernel:
    """`name` is what `make test-vm KERNEL=` takes."""

    name: str
    suite: str


KERNELS = (
    Kernel("5.10", "bullseye"),
    Kernel("6.1", "bookworm"),
    Kernel("6.12", "trixie"),
    Kernel("newest", "forky"),
)
OLDEST, NEWEST = KERNELS[0], KERNELS[-1]


def by_name(name: str) -> Kernel:
    """Also by suite. Raises KeyError, which names those that there are."""
    for kernel in KERNELS:
        if name in (kernel.name, kernel.suite):
            return kernel
    raise KeyError(f"no kernel {name!r}; there are: {', '.join(k.name for k in KERNELS)}")
