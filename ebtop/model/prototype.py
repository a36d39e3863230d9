# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the prototype of a kernel function (its arguments by name and type), and the hook's
settings.

Values only: BTF is read by the collector, and how values are written is commands/calllines.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

MOST_ARGS = 6
_REGISTER_BYTES = 8


@dataclass(frozen=True)
class Param:
    """One argument, or the result."""

    name: str = ""
    bytes: int = _REGISTER_BYTES
    signed: bool = False
    pointer: bool = False
    text: bool = False
    """Points at char."""

    def value(self, register: int) -> int:
        """What a register holds, by size and sign of the type."""
        bits = 8 * self.bytes
        value = register & ((1 << bits) - 1)
        return value - (1 << bits) if self.signed and value >> (bits - 1) else value


REGISTER = Param()
"""An argument of which nothing is known."""
RAW_RESULT = Param(signed=True)


@dataclass(frozen=True)
class Prototype:
    """A function as described by BTF: its leading arguments that fill one register each."""

    params: tuple[Param, ...] = ()
    result: Optional[Param] = None
    """None: it returns nothing."""
    slots: int = 0
    """How many words all arguments are."""


@dataclass(frozen=True)
class Hook:
    """The function that the probe kfunc hooks, and the data it collects of each call."""

    function: str
    params: tuple[Param, ...] = ()
    """Of the arguments that are read."""
    result: Optional[Param] = None
    slots: int = 0
    returns: bool = False
    stack: bool = False
