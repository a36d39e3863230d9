# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Run by root: measures which capabilities ebtop needs on this kernel, and prints one row of the
table in docs/kernels.md. With --header also what the columns are.

Each trial is a forked process that becomes nobody with a set of capabilities: before a session is
opened, or after. From all of them those are taken away, one after the other, that nobody misses.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ebtop.runtime.native import drop_privileges
from ebtop.sources.bpf import Session

NOBODY = 65534
LITTLE = 65536
NAMES = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO
SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
BY_NUMBER = NAMES.split()
"""As linux/capability.h counts them."""
ORDER = ["SYS_ADMIN", *(name for name in BY_NUMBER if name != "SYS_ADMIN")]
"""The mighty first, so that what is left is the least."""
WAYS_BACK = {"SETUID", "SETGID"}
"""Nobody who holds these has given up being root: no trial as nobody has them."""
HEADER = """\
| kernel | to open all | and to know run times | with 64 KiB of locked memory | then, to go on \
| then, to load more | what root's lack of a single one costs |
| --- | --- | --- | --- | --- | --- | --- |"""

Facts = set[str]
Trial = Callable[[set[str]], Facts]


def facts_of(session: Session) -> Facts:
    """What works: each probe, each value of this very process, and run times."""
    session.refresh(cost=True)
    snapshot = session.refresh(cost=True, threads=True)
    (own,) = [row for row in snapshot.processes.rows() if row["pid"] == os.getpid()]
    facts = {f"probe {p.name}: {p.hook}" for p in snapshot.probes if p.state == "on"}
    facts |= {f"value {bit}" for bit in range(64) if own["known"] & 1 << bit}
    if snapshot.self_cost.probe_ns is not None:
        facts.add("run times")
    return facts


def everything() -> Session:
    session = Session()
    session.switch(["syscall", "open"])
    return session


def reduced(names: set[str], user: Optional[int] = NOBODY) -> None:
    drop_privileges(sum(1 << BY_NUMBER.index(name) for name in names), user, NOBODY)


def limit_locked_memory(size: int) -> None:
    with suppress(ValueError, OSError):  # a root that may not raise it
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (size, size))


def before(names: set[str], user: Optional[int] = NOBODY) -> Facts:
    """With nothing but these from the start, and all the locked memory it wants."""
    limit_locked_memory(resource.RLIM_INFINITY)
    reduced(names, user)
    with everything() as session:
        return facts_of(session)


def with_little(names: set[str], user: Optional[int] = NOBODY) -> Facts:
    limit_locked_memory(LITTLE)
    reduced(names, user)
    with everything() as session:
        return facts_of(session)


def as_root(names: set[str]) -> Facts:
    return with_little(names, user=None)


def afterwards(names: set[str]) -> Facts:
    with everything() as session:
        session.refresh(cost=True)
        reduced(names)
        return facts_of(session)


def loading(names: set[str]) -> Facts:
    """A session that was open, probes that were not, and another session."""
    with everything() as session:
        session.refresh(cost=True)
        session.switch([])
        reduced(names)
        session.switch(["syscall", "open"])
        facts = facts_of(session)
        with everything() as second:
            return facts & facts_of(second) | facts & {"run times"}


def outcome(trial: Trial, names: set[str]) -> Facts:
    """In a process of its own; nothing where it could not even begin."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        try:
            found = sorted(trial(names))
        except Exception:
            found = []
        os.write(theirs, json.dumps(found).encode())
        os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as file:
        found = json.loads(file.read() or b"[]")
    os.waitpid(pid, 0)
    return set(found)


def least(trial: Trial, wanted: Facts, certain: set[str]) -> Optional[set[str]]:
    """The least set with which nothing wanted is missing; `certain` are needed anyway."""
    names = set(BY_NUMBER) - WAYS_BACK
    if not wanted <= outcome(trial, names):
        return None
    if wanted <= outcome(trial, certain):
        names = set(certain)
    for name in ORDER:
        if name in names and wanted <= outcome(trial, names - {name}):
            names.remove(name)
    return names


def words(names: Optional[set[str]]) -> str:
    if names is None:
        return "does not work"
    return " ".join(sorted(names)) or "none"


def lost_alone(all_facts: Facts) -> str:
    """What is missing when root lacks just one capability."""
    costs = []
    for name in BY_NUMBER:
        lost = all_facts - outcome(as_root, set(BY_NUMBER) - {name})
        if lost:
            what = "everything" if lost == all_facts else ", ".join(sorted(lost))
            costs.append(f"{name}: {what}")
    return "; ".join(costs) or "nothing"


def main() -> None:
    all_facts = outcome(as_root, set(BY_NUMBER))
    assert "run times" in all_facts, all_facts
    rest = all_facts - {"run times"}
    usual = {"BPF", "PERFMON"}
    columns: list[Any] = [
        os.uname().release,
        words(least(before, rest, usual)),
        words(least(before, all_facts, usual | {"SYS_ADMIN"})),
        words(least(with_little, rest, usual | {"SYS_RESOURCE"})),
        words(least(afterwards, all_facts, set())),
        words(least(loading, all_facts, usual)),
        lost_alone(all_facts),
    ]
    if "--header" in sys.argv:
        print(HEADER)
    print("| " + " | ".join(columns) + " |")


if __name__ == "__main__":
    main()
