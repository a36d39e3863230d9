# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns `ebtop set`: which running ebtop is meant, and the filter that it gets.

The kernel decides who may: the filter lies in a map of that process, and whoever may trace the
process may borrow the map. There is no socket and no file.
"""

from __future__ import annotations

import os

from ebtop.arguments import latency, least_bytes
from ebtop.chosen import check_pids, uid_of
from ebtop.errors import EbtopError, PermissionDenied, Unsupported, UsageError
from ebtop.host import read_small
from ebtop.options import Options
from ebtop.session import filter_other
from ebtop.snapshot import Filter
from ebtop.sources import root_command
from ebtop.text import cut, displayable

_NAME_CELLS = 60


def run(options: Options) -> int:
    """Exit status 0 when it is set; whatever is in the way is raised."""
    wanted = asked_for(dict(options.changes))
    try:
        filter_other(options.instance or only_instance(), wanted)
    except PermissionDenied as error:
        hint = f"; try: {root_command()}" if os.geteuid() else ""
        raise PermissionDenied(f"{error}{hint}") from error
    except Unsupported as error:
        raise UsageError(str(error)) from error
    return 0


def asked_for(changes: dict[str, str]) -> Filter:
    """What was typed, once it is known to exist."""
    pid = int(changes.get("pid", "0"))
    if pid:
        check_pids((pid,), "pid")
    user = changes.get("user") or changes.get("uid")
    descendants = changes.get("descendants") == "1"
    if descendants and not pid:
        raise UsageError("descendants=1 goes with pid=PID")
    return Filter(
        pid=pid,
        uid=uid_of(user, "user"),
        descendants=descendants,
        min_latency_ns=latency(changes.get("min_latency", "0")),
        min_bytes=least_bytes(changes.get("min_size", "0")),
        port=int(changes.get("port", "0")),
    )


def only_instance() -> int:
    """The process whose session is the only one here that we may set."""
    found, refused = instances()
    if len(found) == 1:
        return found[0]
    if found:
        names = "; ".join(f"{pid} ({_name(pid)})" for pid in found)
        raise UsageError(f"several run, say which one with --instance PID: {names}")
    if refused and os.geteuid():
        raise PermissionDenied("no ebtop of this user runs with BPF")
    raise EbtopError("no ebtop runs with BPF")


def instances() -> tuple[list[int], bool]:
    """The processes with a session that we may set, and whether there are some we may not ask."""
    found, refused = [], False
    own = os.getpid()
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        if pid == own:
            continue
        try:
            filter_other(pid, None)
        except PermissionDenied:
            refused = True
        except EbtopError:
            continue
        else:
            found.append(pid)
    return found, refused


def _name(pid: int) -> str:
    """Its command line, without the interpreter before it."""
    words = (read_small(f"/proc/{pid}/cmdline") or b"").split(b"\0")
    ours = [i for i, word in enumerate(words) if word.endswith(b"ebtop")]
    return cut(displayable(b"\0".join(words[ours[0] if ours else 0 :])), _NAME_CELLS)
