# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the processes that the options choose: checks that pids and users exist, resolves user
names, and builds the filters from them.

It asks the kernel and the user database; the syntax of the options is in values.py.
"""

from __future__ import annotations

import os
from typing import Optional

from ebtop.errors import UsageError
from ebtop.model.filters import KernelFilter, RowFilter
from ebtop.model.syscallnames import selected
from ebtop.options.options import Options
from ebtop.options.values import EXCLUDED_MAX
from ebtop.probes import LOGGED_BYTES, SLOW_NS
from ebtop.sources import host
from ebtop.text import displayable


def check_namespace(source: str, option: str = "argument -p/--pid") -> None:
    """The kernel side knows the pids of the initial namespace only, which may differ from ours."""
    if source != "proc" and host.in_own_pid_namespace():
        other = "" if source == "bpf" else "; --source proc goes by those, where a command takes it"
        raise UsageError(
            f"{option}: in a pid namespace the kernel's own pids are not those seen here{other}"
        )


def check_pids(pids: tuple[int, ...], option: str = "argument -p/--pid") -> None:
    """Raises UsageError for a pid that does not exist: such a filter is a mistake."""
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


def _excluded(options: Options) -> tuple[int, ...]:
    """`ebtop slow` waits for events, which would itself be reported as a slow wait: it is
    excluded."""
    own = os.getpid()
    if options.command != "slow" or own in options.pids or len(options.excluded) >= EXCLUDED_MAX:
        return options.excluded
    return (*options.excluded, own)


def row_filter(options: Options) -> RowFilter:
    """The rows that are shown. The kernel may count others too."""
    return RowFilter(
        frozenset(options.pids), options.user, options.comm, options.port, options.thread_name
    )


def kernel_filter(options: Options) -> KernelFilter:
    """The part of the options that the kernel can filter by: one process, one user, short calls."""
    pids = set(options.pids)
    return KernelFilter(
        pid=pids.pop() if len(pids) == 1 else 0,
        uid=uid_of(options.user),
        descendants=options.descendants,
        min_latency_ns=options.min_latency_ns,
        # of the dashboard, what its logs begin with
        min_bytes=LOGGED_BYTES if options.command == "dashboard" else options.min_bytes,
        slow_ns=SLOW_NS if options.command == "dashboard" else options.slow_ns,
        port=options.port or 0,
        excluded=_excluded(options),
        calls=selected(options.syscalls),
    )
