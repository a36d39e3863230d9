# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Run as a process, not imported: a session whose process then gives up its privileges, and does
what the words on standard input ask; one line of JSON a word. What must come of it is the test's.

Arguments: a file of root's that nobody else may read, one of another user's, and a set-uid `id`.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import subprocess
import sys
import time
from typing import Any, Callable

from ebtop.model.layout import KNOWN_BIT, Table
from ebtop.probes import NAMES as PROBES
from ebtop.runtime import privilege
from ebtop.sources.bpf import Session

COMING_AND_GOING = [name for name in PROBES if name != "kfunc"]
LIBC = ctypes.CDLL(None, use_errno=True)


def known(table: Table) -> dict[str, dict[str, Any]]:
    """What rows know, by thread and start."""
    return {
        f"{row['tid']} {row['start_ns']}": {
            "pid": row["pid"], "ppid": row["ppid"], "flags": row["flags"],
            **{name: row[name] for name, bit in KNOWN_BIT.items() if row["known"] & 1 << bit},
        }
        for row in table.rows()
    }  # fmt: skip


def read(session: Session) -> dict[str, Any]:
    snapshot = session.refresh(threads=True, cost=True, cumulative=True)
    return {
        "processes": known(snapshot.processes),
        "threads": known(snapshot.threads),
        "cpus": [row["known"] for row in snapshot.cpus.rows()],
        "probes": {p.name: [p.state, p.hook, p.runs is not None] for p in snapshot.probes},
        "lost": snapshot.self_cost.lost_total,
        "rss_bytes": snapshot.self_cost.rss_bytes,
        "system": {
            name: value is not None for name, value in vars(snapshot.system).items()
        },
    }  # fmt: skip


def outcome(attempt: Callable[[], object]) -> str:
    """The name of the error that refuses it."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def libc(name: str, *arguments: object) -> Callable[[], None]:
    def call() -> None:
        if getattr(LIBC, name)(*arguments) != 0:
            raise OSError(ctypes.get_errno(), name)

    return call


def attempts(secret: str, others: str, set_uid_id: str) -> dict[str, str]:
    asked = subprocess.run([set_uid_id, "-u"], stdout=subprocess.PIPE, check=False).stdout
    return {
        "write into /etc": outcome(lambda: os.open("/etc/ebtop", os.O_CREAT | os.O_WRONLY)),
        "change /etc/passwd": outcome(lambda: os.open("/etc/passwd", os.O_WRONLY)),
        "read root's file": outcome(lambda: os.open(secret, os.O_RDONLY)),
        "read another user's file": outcome(lambda: os.open(others, os.O_RDONLY)),
        "take another user's file": outcome(lambda: os.chown(others, os.getuid(), -1)),
        "become root": outcome(lambda: os.setuid(0)),
        "become root for good": outcome(lambda: os.setresuid(0, 0, 0)),
        "join root's group": outcome(lambda: os.setgid(0)),
        "get groups": outcome(lambda: os.setgroups([0])),
        "signal init": outcome(lambda: os.kill(1, 0)),
        "change the root": outcome(lambda: os.chroot("/")),
        "mount": outcome(libc("mount", b"none", b"/mnt", b"tmpfs", 0, None)),
        "set the clock": outcome(libc("sethostname", b"ebtop", 5)),
        "set-uid id": "root" if asked.strip() == b"0" else "not root",
    }


def second() -> dict[str, Any]:
    """Everything once more, from the beginning."""
    with Session() as session:
        session.switch(COMING_AND_GOING)
        session.refresh(cost=True)
        return {p.name: [p.state, p.hook] for p in session.refresh(cost=True).probes}


def switched(session: Session) -> dict[str, Any]:
    """The probes that come and go have gone and come."""
    session.switch([])
    session.refresh(cost=True)
    session.switch(COMING_AND_GOING)
    return {p.name: [p.state, p.hook] for p in session.refresh(cost=True).probes}


def main() -> None:
    with Session() as session:
        session.switch(COMING_AND_GOING)
        session.refresh(cost=True, reset=True)
        time.sleep(0.1)  # what the CPUs did is known after some ticks
        words: dict[str, Callable[[], object]] = {
            "read": lambda: read(session),
            "drop": lambda: privilege.drop(bpf=True),
            "attempts": lambda: attempts(*sys.argv[1:]),
            "second": second,
            "switched": lambda: switched(session),
        }
        for line in sys.stdin:
            print(json.dumps(words[line.strip()]()), flush=True)


if __name__ == "__main__":
    main()
