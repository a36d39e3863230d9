# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the policy of least privilege: the user that ebtop becomes once its source is open, and the
capabilities that it keeps, with the reasons. The system calls are in csrc/privilege.c.

Root is needed only at the start (BPF statistics, the limit of locked memory on 5.10). Afterwards
ebtop runs as the invoking user, with the capabilities for loading probes later. It is imported
before the fork, so it imports little.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import NamedTuple, Optional

from ebtop.errors import EbtopError

CAPABILITIES = {"CAP_DAC_READ_SEARCH": 2, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7,
                "CAP_SYS_PTRACE": 19, "CAP_PERFMON": 38, "CAP_BPF": 39}  # fmt: skip
"""Bits of the capabilities that matter here."""
LOADING = frozenset({"CAP_BPF", "CAP_PERFMON"})
"""For probes that are switched on later, and on 5.10 for reading maps."""
SEEING = frozenset({"CAP_SYS_PTRACE"})
"""For others' processes where /proc hides them (hidepid); else their files are open to all."""
READING = frozenset({"CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE"})
"""Of the reader of `sources/procaccess.py` alone: files of /proc/PID that are for its user's eyes,
and of which the kernel asks besides whether the reader may trace the process."""
SIGNALLING = frozenset({"CAP_KILL"})
"""For passing on what a command of root's own is to be told."""
NOBODY = 65534
_THREADS_END_S = 1.0
_MOST_ID = (1 << 32) - 2


class User(NamedTuple):
    """The user to become."""

    uid: int
    gid: int


def invoker(environment: Mapping[str, str]) -> User:
    """The user that ebtop becomes: the one who called sudo or pkexec; after a login as root,
    `nobody`. Never with root's group, whose rights are not needed."""
    user = caller(environment)
    if user is None:
        return _nobody()
    return user if user.gid else User(user.uid, _group_of(user.uid) or NOBODY)


def caller(environment: Mapping[str, str]) -> Optional[User]:
    """The user who called sudo or pkexec; None if nobody but root did."""
    if is_of_sudo(environment):
        uid, gid = (_identifier(environment.get(name)) for name in ("SUDO_UID", "SUDO_GID"))
    else:
        uid, gid = _identifier(environment.get("PKEXEC_UID")), None
    if not uid:
        return None
    return User(uid, _group_of(uid) if gid is None else gid)


def is_of_sudo(environment: Mapping[str, str]) -> bool:
    """Whether sudo named its caller; the variable of pkexec is then ignored."""
    return bool(_identifier(environment.get("SUDO_UID")))


def _identifier(text: Optional[str]) -> Optional[int]:
    """The number of a user or group; None if the text is not one."""
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= 10):
        return None
    number = int(text)
    return number if number <= _MOST_ID else None


def _group_of(uid: int) -> int:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_gid
    except (KeyError, OSError):
        return NOBODY


def _nobody() -> User:
    import pwd

    try:
        entry = pwd.getpwnam("nobody")
    except (KeyError, OSError):
        return User(NOBODY, NOBODY)
    return User(entry.pw_uid or NOBODY, entry.pw_gid or NOBODY)


def obstacle(user: User, root: str = "/proc/self") -> Optional[str]:
    """Why this root cannot become that user, as in some containers; None if it can."""
    lack = lacking("CAP_SETUID", "CAP_SETGID", root=root)
    if lack:
        return f"without {' and '.join(lack)}"
    if _read(f"{root}/setgroups").strip() == "deny":
        return "in a user namespace without setgroups"
    for kind, number in (("uid", user.uid), ("gid", user.gid)):
        if not is_mapped(number, _read(f"{root}/{kind}_map")):
            return f"in a user namespace without {kind} {number}"
    return None


def lacking(*names: str, root: str = "/proc/self") -> list[str]:
    """Those capabilities that this process does not have; none where that cannot be found out."""
    held = capabilities_in(_read(f"{root}/status"))
    return [] if held is None else [name for name in names if not held & bit(name)]


def capabilities_in(status: str) -> Optional[int]:
    """The effective ones, of a /proc/PID/status."""
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return int(value, 16)
    return None


def is_mapped(number: int, id_map: str) -> bool:
    """Whether a uid_map or gid_map has this number; one that cannot be read has them all."""
    ranges = [line.split() for line in id_map.splitlines()]
    inside = (int(first) <= number < int(first) + int(count) for first, _, count in ranges)
    return not ranges or any(inside)


def hides_processes(mounts: str) -> bool:
    """Whether /proc, by /proc/self/mounts, shows a user no processes of others."""
    words = [line.split() for line in mounts.splitlines()]
    options = [word[3].split(",") for word in words if len(word) > 3 and word[1] == "/proc"]
    return any(option.startswith("hidepid=") for option in (options[-1] if options else ()))


def bit(capability: str) -> int:
    return 1 << CAPABILITIES[capability]


def kept(bpf: bool, hidden: bool) -> frozenset[str]:
    """What the screen still needs after the drop, of a source that is BPF or else /proc."""
    return (LOADING if bpf else frozenset()) | (SEEING if hidden else frozenset())


def before_fork() -> Optional[User]:
    """Sets root's real uid to that of the user to become, so that the parent, which drops
    privileges at once, can signal the child, which is still loading. Returns that user, or None if
    nothing changed.

    The user can then send signals to this process, but not trace it, which takes all of its uids.
    """
    if os.geteuid() != 0:
        return None
    user = invoker(os.environ)
    if obstacle(user):
        return None
    os.setresuid(user.uid, 0, 0)
    return user


def become(user: User) -> None:
    """Becomes that user, with no capability at all. Raises EbtopError when that fails."""
    from ebtop.runtime.native import drop_privileges

    drop_privileges(0, *user)


def drop(bpf: bool, also: frozenset[str] = frozenset()) -> Optional[str]:
    """Drops privileges that are not needed any more; returns a line on those that could not be
    dropped.

    `also`: capabilities that the command needs in addition to those of the source.

    Raises EbtopError when that fails. To be called once, when the source has begun to count.
    """
    _await_threads()
    # import modules that functions need later (os.wait4): the new user may not be able to read them
    import pwd  # noqa: F401
    import resource  # noqa: F401

    why = _give_up(also | kept(bpf, hides_processes(_read("/proc/self/mounts"))))
    return f"remains user root, {why}; other privileges are given up" if why else None


def become_reader() -> None:
    """As `drop`, in the process that reads for one which has dropped them."""
    _give_up(READING)


def _give_up(keep: frozenset[str]) -> Optional[str]:
    """All privileges but these; why it had to stay root, if so."""
    from ebtop.runtime.native import drop_privileges

    capabilities = sum(map(bit, keep))
    user, why = None, None
    if os.geteuid() == 0:
        user = invoker(os.environ)
        why = obstacle(user)
    if user is None or why:
        drop_privileges(capabilities, None, 0)
    else:
        drop_privileges(capabilities, *user)
    return why


def _await_threads() -> None:
    """One that has been waited for is still there for a moment."""
    end = time.monotonic() + _THREADS_END_S
    while len(os.listdir("/proc/self/task")) != 1:
        if time.monotonic() > end:
            raise EbtopError("privileges: more than one thread holds them")
        time.sleep(0.001)


def _read(path: str) -> str:
    try:
        with open(path, encoding="latin-1") as file:
            return file.read()
    except OSError:
        return ""
