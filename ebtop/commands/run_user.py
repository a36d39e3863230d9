# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the user that `run` starts its command as: the user who called sudo, or our own.

SUDO_UID alone is no evidence: every shell below a root shell has it, as do tmux and jobs that run
days later. The evidence is the process that sudo started: we must descend from it, on the same
terminal. It is imported before the command is forked, so it imports little.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Optional

from ebtop.errors import PermissionDenied
from ebtop.options.options import Options
from ebtop.runtime import privilege
from ebtop.runtime.privilege import User

_SUDO, _PKEXEC = ("SUDO_UID", "SUDO_COMMAND"), ("PKEXEC_UID",)
_MOST_ANCESTORS = 100
_PROC = "/proc"
_TYPED, _ABOVE = "typed", "above"
"""Sudo began ebtop itself, as the user typed it; or a shell or something else that began it."""
Marks = dict[bytes, bytes]


def of_command(options: Options, arguments: list[str]) -> tuple[Optional[User], Optional[str]]:
    """The user for the command and for the files that are written, None for our own; and a message
    about it, if any.

    `arguments` are ours, to recognise who typed them. Raises PermissionDenied if the user's
    identity cannot be taken.
    """
    if options.as_root and os.geteuid() != 0:
        from ebtop.control.choose import root_command

        raise PermissionDenied(f"--as-root takes root; try: {root_command()}")
    if os.geteuid() != 0 or options.as_root:
        return None, None
    user = privilege.caller(os.environ)
    begun = _begun_by_sudo(user, os.environ) if user else None
    if user is None or begun is None:
        return None, None
    why = privilege.obstacle(user)
    if not options.words:
        return None if why else user, None
    if why:
        raise PermissionDenied(
            f"cannot run the command as {_named(user)}, who called sudo: {why};"
            " --as-root runs it as root"
        )
    typed = begun is _TYPED or " ".join(arguments) in os.environ.get("SUDO_COMMAND", "")
    about = f"the command runs as {_named(user)}, who called sudo; --as-root runs it as root"
    return user, None if typed else about


def _begun_by_sudo(user: User, environment: Mapping[str, str]) -> Optional[str]:
    """The process that sudo (or pkexec) started: this one, or an ancestor; None if there is none,
    or if it has another terminal.

    It is the first ancestor whose environment has sudo's variables.
    """
    names = _SUDO if privilege.is_of_sudo(environment) else _PKEXEC
    if not all(name in environment for name in names):
        return None
    marks = {os.fsencode(name): os.fsencode(environment[name]) for name in names}
    own = pid = os.getpid()
    for _ in range(_MOST_ANCESTORS):
        parent = _Stat(pid).parent
        if not parent or not _has(parent, marks):
            break
        pid = parent
    evident = _is_sudo_s(pid, user, marks)
    if pid == own:
        # no evidence, for instance a job that inherited the environment of a shell: print a message
        return _TYPED if evident else _ABOVE
    terminal = _Stat(own).terminal
    same = terminal is not None and _Stat(pid).terminal == terminal
    return _ABOVE if same and evident else None


def _is_sudo_s(pid: int, user: User, marks: Marks) -> bool:
    """Whether sudo started that process: its parent is sudo, or belongs to the user where sudo
    executed the command itself; if the parent is gone, its command must be the one in
    SUDO_COMMAND."""
    parent = _Stat(pid).parent
    if parent and (_read(f"{parent}/comm").startswith((b"sudo", b"pkexec"))):
        return True
    if parent and _uid(parent) == user.uid:
        return True
    named = os.path.basename(marks.get(b"SUDO_COMMAND", b"").split(b" ")[0])
    words = _read(f"{pid}/cmdline").split(b"\0")
    return bool(named) and os.path.basename(words[0]).lstrip(b"-") == named


class _Stat:
    """Of /proc/PID/stat."""

    def __init__(self, pid: int) -> None:
        fields = _read(f"{pid}/stat").rpartition(b") ")[2].split()
        self.parent = int(fields[1]) if len(fields) > 4 else None
        self.terminal = int(fields[4]) if len(fields) > 4 else None


def _has(pid: int, marks: Marks) -> bool:
    strings = set(_read(f"{pid}/environ").split(b"\0"))
    return all(name + b"=" + value in strings for name, value in marks.items())


def _uid(pid: int) -> Optional[int]:
    for line in _read(f"{pid}/status").splitlines():
        if line.startswith(b"Uid:"):
            return int(line.split()[1])
    return None


def _read(path: str) -> bytes:
    try:
        with open(f"{_PROC}/{path}", "rb") as file:
            return file.read()
    except OSError:
        return b""


def _named(user: User) -> str:
    import pwd

    try:
        return f"user {pwd.getpwuid(user.uid).pw_name}"
    except (KeyError, OSError):
        return f"user {user.uid}"
