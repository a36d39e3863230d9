# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what options that choose processes come to: that pids and users exist, and their numbers.

It asks the kernel and the user database; what the options may look like is said in arguments.py.
"""

from __future__ import annotations

import os
from typing import Optional

from ebtop import host
from ebtop.errors import UsageError
from ebtop.text import displayable


def check_pids(pids: tuple[int, ...], option: str = "argument -p/--pid") -> None:
    """What a filter names has to exist now, or the filter is a mistake."""
    for pid in pids:
        try:
            os.kill(pid, 0)  # asks only; hidepid cannot hide the answer
        except ProcessLookupError:
            raise UsageError(f"{option}: there is no process {pid}") from None
        except PermissionError:
            pass


def uid_of(user: Optional[str], option: str = "argument -u/--user") -> Optional[int]:
    """The number of a user given by name or number; None for None."""
    if user is None:
        return None
    uid = host.uid_of(user)
    if uid is None:
        raise UsageError(f"{option}: there is no user '{displayable(user)}'")
    return uid
