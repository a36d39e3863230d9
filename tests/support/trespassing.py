# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the attackers of tests: started before ebtop, they try to get into each of its processes
without a pause, as the user whom it becomes (trespass.c), and what they report."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from observe import EMULATED, allowed, workload
from rootways import GID, UID
from running import command
from terminal import Terminal

CALLER, OTHER, NOBODY = (UID, GID), (4721, 4721), (65534, 65534)
VICTIM = "victim"
"""The name of what `run` runs."""
OPEN = {VICTIM, "true"}
"""What is its user's own and may be looked into; the second is begun by selftest, to be counted."""
# who started it, by what sudo leaves in the environment, and who ebtop becomes
WAYS = {"login": ({}, NOBODY), "sudo": ({"SUDO_UID": str(UID), "SUDO_GID": str(GID)}, CALLER)}


@dataclass
class Tries:
    """What the attackers report."""

    inside: list[list[str]] = field(default_factory=list)
    """Pid, way, detail, the name of the process before and after, whether it was ending."""
    met: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The processes that were tried, and the names that they had."""
    passes: int = 0

    def read(self, text: str) -> None:
        for line in text.splitlines():
            word, *rest = line.split()
            if word == "in":
                self.inside.append(rest)
            elif word == "tried":
                self.met[int(rest[0])].add(rest[1])
            elif word == "passes":
                self.passes += int(rest[0])

    def into_ebtop(self, ending: bool = False) -> list[list[str]]:
        """But for what may be looked into, and holds nothing besides what the tests gave it.

        `ending`: nor what was got at when it was over: kernels forget that a process is not
        dumpable with its memory. Else that too, if it is a descriptor.
        """
        return [
            one for one in self.inside
            if not _is_its_own(one)
            and (one[5] != "ending" or (one[1] == "pidfd_getfd" and not ending))
        ]  # fmt: skip


def _is_its_own(one: list[str]) -> bool:
    """What its user may get at anyhow: what the tests gave it, and what it opened to begin."""
    _, way, detail, before, after, _ = one
    if way != "pidfd_getfd":
        return bool(OPEN & {before, after})
    return detail == "/dev/null" or (
        before in OPEN and detail.startswith(("/usr/", "/lib", "/etc/"))
    )


@contextmanager
def attackers(*users: tuple[int, int]) -> Iterator[Tries]:
    """One of each user, against all that descends from this process. Told when it is over.

    In an emulated machine one alone, the first: with two nothing else would get on.
    """
    users = users[:1] if EMULATED else users
    program = workload("trespass")
    # the folder of workloads is root's alone
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    folder.chmod(0o755)
    shutil.copy(program, folder / "trespass")
    tries = Tries()
    running = [
        subprocess.Popen(
            ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups",
             folder / "trespass", str(os.getpid())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for uid, gid in users
    ]  # fmt: skip
    try:
        for one in running:
            assert one.stdout is not None and one.stdout.readline() == "ready\n"
        yield tries
        for one in running:
            tries.read(one.communicate("", timeout=60)[0])
        assert tries.passes > 2 * len(users)
    finally:
        for one in running:
            one.kill()
            one.wait()
        shutil.rmtree(folder)


def start(*arguments: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    null = subprocess.DEVNULL
    return subprocess.Popen(
        command(*arguments), stdin=null, stdout=null, stderr=null,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **environment},
    )  # fmt: skip


def dashboard(environment: dict[str, str], user: tuple[int, int], program: str) -> None:
    with (
        attackers(user, OTHER) as tries,
        Terminal("-d", "0.3", environment=environment, program=program) as terminal,
    ):
        terminal.wait("Quit", allowed(15))
        time.sleep(allowed(0.3))
        terminal.type("q")
        assert terminal.end() == 0
    pythons = [pid for pid, names in tries.met.items() if any(n.startswith("py") for n in names)]
    assert len(pythons) >= 2, "the dashboard and its parent"
    assert not tries.into_ebtop()
