# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the environment and the ignored signals that ebtop was started with, for the programs it
starts.

ebtop runs with a reduced environment: launcher.sh keeps only variables that cannot inject code into
root's process, and passes the original as data, in variables that no other program reads. ebtop's
own settings (TERM, SUDO_UID, ...) are in os.environ.
"""

from __future__ import annotations

import binascii
import os
import signal
from collections.abc import Iterable, Mapping
from typing import Optional

_COUNT = b"EBTOP_GIVEN"
_PIECE = b"EBTOP_GIVEN_%d"
_IGNORED = b"EBTOP_GIVEN_IGNORED"
BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
"""What Python ignores in any case."""
_cached: Optional[list[bytes]] = None


def given() -> Optional[list[bytes]]:
    """Every string of it, as it came and in its order: `NAME=value`, as a rule. None: not known."""
    global _cached
    if _cached is None:
        _cached = _handed_over() if _COUNT in os.environb else _own()
    return _cached


def ignored_signals() -> set[int]:
    """The signals that were already ignored at start, among those that Python ignores."""
    if _COUNT not in os.environb:
        return set()
    try:
        mask = int(os.environb[_IGNORED], 16)
    except (ValueError, KeyError):
        return set()
    return {number for number in BY_PYTHON if mask >> number - 1 & 1}


def as_mapping(strings: Iterable[bytes]) -> dict[bytes, bytes]:
    """The variables among them; of several with one name the first, as getenv has it."""
    variables: dict[bytes, bytes] = {}
    for string in strings:
        name, separator, value = string.partition(b"=")
        if name and separator:
            variables.setdefault(name, value)
    return variables


def as_strings(variables: Mapping[bytes, bytes]) -> list[bytes]:
    return [name + b"=" + value for name, value in variables.items()]


def _handed_over() -> Optional[list[bytes]]:
    """By the launcher: the kernel's copy, in base64, in as many pieces as _COUNT says."""
    try:
        pieces = [os.environb[_PIECE % i] for i in range(int(os.environb[_COUNT]))]
        return _strings(binascii.a2b_base64(b"".join(pieces)))
    except (ValueError, KeyError):
        return None


def _own() -> list[bytes]:
    """Without the launcher this is our own environment, including Python's changes to it."""
    try:
        with open("/proc/self/environ", "rb") as file:
            return _strings(file.read())
    except OSError:
        return as_strings(os.environb)


def _strings(block: bytes) -> list[bytes]:
    return block.split(b"\0")[:-1]
