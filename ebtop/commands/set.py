# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns `ebtop set`: which running ebtop is meant, and the filter that it gets.

The kernel checks the permission: the filter is in a BPF map of the other process, and a process
that may trace it may borrow the map. This takes CAP_SYS_PTRACE: an ebtop that holds maps cannot be
traced even by its own user. No socket or file is involved.
"""

from __future__ import annotations

import os
from typing import Optional

from ebtop.control.choose import root_command
from ebtop.errors import EbtopError, PermissionDenied, Unsupported, UsageError
from ebtop.model.filters import KernelFilter
from ebtop.model.syscallnames import selected
from ebtop.options import settable
from ebtop.options.options import Options
from ebtop.options.targets import check_namespace, check_pids, uid_of
from ebtop.options.values import excluded, latency, least_bytes
from ebtop.runtime import privilege
from ebtop.sources.bpf import filter_other
from ebtop.sources.host import read_small
from ebtop.text import cut, displayable

_NAME_CELLS = 60
_NEEDED = ("CAP_SYS_PTRACE", "CAP_BPF")
"""CAP_BPF is needed only on kernels that let no one else query a map."""


def run(options: Options) -> int:
    """Returns 0 once the filter is set; raises EbtopError otherwise."""
    wanted = asked_for(dict(options.changes))
    try:
        pid = options.instance or only_instance()
        _check_obeyed(pid, [key for key, _ in options.changes])
        filter_other(pid, wanted)
    except PermissionDenied as error:
        raise PermissionDenied(f"{error}{_hint()}") from error
    except Unsupported as error:
        raise UsageError(str(error)) from error
    return 0


def _check_obeyed(pid: int, keys: list[str]) -> None:
    """A key that the process does not obey is an error, and then nothing is set."""
    accepted = filter_other(pid, None)
    refused = settable.refused(keys, accepted)
    if refused:
        obeyed = ", ".join(settable.names(accepted)) or "nothing"
        raise UsageError(f"process {pid} does not filter by {', '.join(refused)}; by: {obeyed}")


def _hint() -> str:
    """What would help after a refusal."""
    if os.geteuid():
        return f"; try: {root_command()}"
    return ", which root lacks here" if privilege.lacking(*_NEEDED) else ""


def asked_for(changes: dict[str, str]) -> KernelFilter:
    """The filter that was asked for; its pids and users are checked."""
    pid = int(changes.get("pid", "0"))
    if pid:
        check_namespace("bpf", "pid")
        check_pids((pid,), "pid")
    user = changes.get("user") or changes.get("uid")
    descendants = changes.get("descendants") == "1"
    if descendants and not pid:
        raise UsageError("descendants=1 goes with pid=PID")
    return KernelFilter(
        pid=pid,
        uid=uid_of(user, "user"),
        descendants=descendants,
        min_latency_ns=latency(changes.get("min_latency", "0")),
        min_bytes=least_bytes(changes.get("min_size", "0")),
        port=int(changes.get("port", "0")),
        slow_ns=latency(changes.get("min", "0")),
        excluded=excluded(changes["exclude_pid"]) if "exclude_pid" in changes else (),
        calls=selected(changes["syscall"].split(",")) if "syscall" in changes else (),
    )


def only_instance() -> int:
    """The only process with a session that we may change."""
    found, refused = instances()
    if len(found) == 1:
        return found[0]
    if found:
        names = "; ".join(f"{pid} ({_name(pid)})" for pid in found)
        raise UsageError(f"several run, say which one with --instance PID: {names}")
    if refused and (os.geteuid() or privilege.lacking(*_NEEDED)):
        raise PermissionDenied(f"no ebtop with BPF is in sight: {refused}")
    raise EbtopError(f"no ebtop runs with BPF{', as far as can be seen' if refused else ''}")


def instances() -> tuple[list[int], Optional[PermissionDenied]]:
    """The processes with a session that we may change, and the last refusal, if any."""
    found: list[int] = []
    refused = None
    own = os.getpid()
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        if pid == own:
            continue
        try:
            filter_other(pid, None)
        except PermissionDenied as error:
            refused = error
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
