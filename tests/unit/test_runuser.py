# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""As whom `run` starts its command: decided from a made-up /proc, in every way of becoming root."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import pytest

from ebtop.commands import run_user
from ebtop.errors import PermissionDenied
from ebtop.options.commandline import parse
from ebtop.runtime.privilege import User

UID, GID = 1000, 1001
TTY, PTY = 34816, 34817
SHELL, RUN = "/bin/bash", "/usr/bin/ebtop run -- id"
ARGUMENTS = ["run", "--", "id"]


@dataclass
class Process:
    """One of a line of descent; the one before is its parent."""

    words: str
    command: Optional[str] = None
    """SUDO_COMMAND in its environment."""
    tty: int = TTY
    uid: int = 0
    mark: str = "SUDO"


def user_s(words: str = "bash") -> Process:
    return Process(words, uid=UID)


SUDO = Process("sudo")
LOGIN = Process("login")
EBTOP = "python3 -I -m ebtop run -- id"
SAYS, SILENT, OURS = "says", "silent", "ours"

LINES = {
    "sudo ebtop": ([user_s(), SUDO, Process(EBTOP, RUN)], SILENT),
    "sudo with a terminal of its own": (
        [user_s(), SUDO, Process("sudo", tty=PTY), Process(EBTOP, RUN, tty=PTY)], SILENT),
    "sudo that became the command": ([user_s(), Process(EBTOP, RUN)], SILENT),
    "sudo without a terminal": ([user_s(), SUDO, Process(EBTOP, RUN, tty=0)], SILENT),
    "sudo timeout 5 ebtop": (
        [user_s(), SUDO, Process("timeout", f"/usr/bin/timeout 5 {RUN}"),
         Process(EBTOP, f"/usr/bin/timeout 5 {RUN}")], SILENT),
    "sudo -s": ([user_s(), SUDO, Process("bash", SHELL), Process(EBTOP, SHELL)], SAYS),
    "a shell in sudo -s": (
        [user_s(), SUDO, *[Process("bash", SHELL)] * 3, Process(EBTOP, SHELL)], SAYS),
    "sudo -i": ([user_s(), SUDO, Process("-bash", SHELL), Process(EBTOP, SHELL)], SAYS),
    "sudo -s that became the shell": (
        [user_s(), Process("bash", SHELL), Process(EBTOP, SHELL)], SAYS),
    "a script through sudo": (
        [user_s(), SUDO, Process("sh ./x", "./x"), Process(EBTOP, "./x")], SAYS),
    "tmux begun in sudo -s": (
        [Process("init", tty=0), Process("tmux", SHELL, tty=0), Process("bash", SHELL, tty=PTY),
         Process(EBTOP, SHELL, tty=PTY)], OURS),
    "a service begun in sudo -s": (
        [Process("init", tty=0), Process("daemon", SHELL, tty=0), Process(EBTOP, SHELL, tty=0)],
        OURS),
    "script(1) in sudo -s": (
        [user_s(), SUDO, Process("bash", SHELL), Process("script", SHELL),
         Process("bash", SHELL, tty=PTY), Process(EBTOP, SHELL, tty=PTY)], OURS),
    "a job of at, with the environment of sudo -s": (
        [Process("atd", tty=0), Process("sh", tty=0), Process(EBTOP, SHELL, tty=0)], SAYS),
    "a login as root": ([LOGIN, Process("bash"), Process(EBTOP)], OURS),
    "pkexec": ([user_s(), Process(EBTOP, "", mark="PKEXEC")], SILENT),
    "a shell of pkexec": (
        [user_s(), Process("bash", "", mark="PKEXEC"), Process(EBTOP, "", mark="PKEXEC")], SAYS),
    "pkexec in a session bus": (
        [Process("init", tty=0), Process("x", "", mark="PKEXEC", tty=0),
         Process(EBTOP, "", mark="PKEXEC", tty=PTY)], OURS),
}  # fmt: skip


def environment(one: Process) -> dict[str, str]:
    if one.command is None:
        return {"TERM": "xterm"}
    if one.mark == "PKEXEC":
        return {"PKEXEC_UID": str(UID)}
    return {"SUDO_UID": str(UID), "SUDO_GID": str(GID), "SUDO_COMMAND": one.command}


@pytest.fixture
def descent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    def make(line: list[Process]) -> None:
        for pid, one in enumerate(line, 10):
            folder = tmp_path / str(pid)
            folder.mkdir()
            words = one.words.split()
            (folder / "comm").write_text(words[0] + "\n")
            (folder / "cmdline").write_text("\0".join(words) + "\0")
            fields = f"S {pid - 1 if pid > 10 else 0} {pid} {pid} {one.tty} 0"
            (folder / "stat").write_text(f"{pid} (a) b) {fields}\n")
            (folder / "status").write_text(f"Name:\tx\nUid:\t{one.uid}\t{one.uid}\t0\t0\n")
            strings = [f"{name}={value}" for name, value in environment(one).items()]
            (folder / "environ").write_text("\0".join([*strings, "A=b", ""]))
        monkeypatch.setattr(run_user.os, "getpid", lambda: 9 + len(line))
        monkeypatch.setattr(run_user.os, "geteuid", lambda: 0)
        monkeypatch.setattr(run_user.privilege, "_group_of", lambda uid: GID)
        monkeypatch.setattr(run_user.privilege, "obstacle", lambda user: None)
        monkeypatch.setattr(run_user, "_PROC", str(tmp_path))
        monkeypatch.setattr(run_user.os, "environ", environment(line[-1]))

    return make


@pytest.mark.parametrize("way", LINES)
def test_the_user_is_who_called_sudo_or_whoever_we_are(descent, way: str) -> None:  # type: ignore[no-untyped-def]
    line, expected = LINES[way]
    descent(line)
    user, about = run_user.of_command(parse(ARGUMENTS), ARGUMENTS)
    assert user == (None if expected == OURS else User(UID, GID))
    assert (about is not None) == (expected == SAYS)
    assert about is None or ("--as-root" in about and "called sudo" in about)


@pytest.mark.parametrize("way", LINES)
def test_as_root_it_is_whoever_we_are(descent, way: str) -> None:  # type: ignore[no-untyped-def]
    descent(LINES[way][0])
    options = parse(["run", "--as-root", "--", "id"])
    assert run_user.of_command(options, ARGUMENTS) == (None, None)


def test_who_cannot_become_that_user_refuses(descent, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    descent(LINES["sudo -s"][0])
    monkeypatch.setattr(run_user.privilege, "obstacle", lambda user: "without CAP_SETUID")
    with pytest.raises(PermissionDenied, match="without CAP_SETUID; --as-root runs it as root"):
        run_user.of_command(parse(ARGUMENTS), ARGUMENTS)
    # without a command it is only about whose the files are
    assert run_user.of_command(parse(["run", "-p", "1"]), []) == (None, None)


def test_sudo_uid_alone_decides_nothing(descent, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    descent(LINES["a login as root"][0])
    monkeypatch.setattr(run_user.os, "environ", {"SUDO_UID": str(UID), "SUDO_GID": str(GID)})
    assert run_user.of_command(parse(ARGUMENTS), ARGUMENTS) == (None, None)


def test_who_is_not_root_runs_it_as_themselves(descent, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    descent(LINES["sudo ebtop"][0])
    monkeypatch.setattr(run_user.os, "geteuid", lambda: 1002)
    assert run_user.of_command(parse(ARGUMENTS), ARGUMENTS) == (None, None)
    with pytest.raises(PermissionDenied, match="--as-root takes root"):
        run_user.of_command(parse(["run", "--as-root", "--", "id"]), ARGUMENTS)


def test_a_proc_that_tells_nothing_is_no_crash(descent, monkeypatch, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    descent(LINES["sudo -s"][0])
    monkeypatch.setattr(run_user, "_PROC", str(tmp_path / "none"))
    user, about = run_user.of_command(parse(ARGUMENTS), ARGUMENTS)
    # sudo's marks are there, and nobody else is seen to have them
    assert user == User(UID, GID) and about is not None
    assert os.environ["SUDO_UID"] == str(UID)
