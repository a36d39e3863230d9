# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what compiled code does to this very process: its privileges, its exec, its standing by; and
what its errors mean.

The collector itself is sources/bpf.py's.
"""

from __future__ import annotations

import errno
from typing import Any, NoReturn, Optional

from ebtop._core import ffi, lib
from ebtop.errors import EbtopError, PermissionDenied, Unsupported


def check(code: int, error: Any) -> None:
    """Raises what a negative errno of the collector means; the only place that does."""
    if code >= 0:
        return
    where = ffi.string(error.where).decode("ascii", "replace")
    what = ffi.string(error.what).decode("utf-8", "replace")
    message = f"{where}: {what}" if where else what
    if -code in (errno.EPERM, errno.EACCES):
        raise PermissionDenied(message)
    if -code in (errno.EOPNOTSUPP, errno.ENOENT, errno.ESRCH, errno.ENOSYS):
        raise Unsupported(message)
    raise EbtopError(message)


def is_elevated() -> bool:
    """Whether exec gave this process privileges that its caller does not have, or may have."""
    return bool(lib.ebtop_is_elevated())


def execute(path: bytes, words: list[bytes], environment: list[bytes]) -> None:
    """As os.execve, but with whatever strings the environment has. Raises OSError."""
    kept = [[ffi.new("char[]", text) for text in texts] for texts in (words, environment)]
    arrays = [ffi.new("char *[]", [*texts, ffi.NULL]) for texts in kept]
    code = -lib.ebtop_execute(path, *arrays)
    raise OSError(code, errno.errorcode.get(code, ""))


def drop_privileges(capabilities: int, uid: Optional[int], gid: int) -> None:
    """Keeps these capabilities at most; with a uid becomes that user. There is no way back.

    Raises EbtopError when any of it fails: the process must end then.
    """
    error = ffi.new("struct ebtop_error *")
    user = lib.EBTOP_ANY_UID if uid is None else uid
    keep = ffi.new("struct ebtop_privileges *", (capabilities, user, gid))
    check(lib.ebtop_drop_privileges(keep, error), error)


def stand_by(command: int, watcher: int, go: int, asks: int, answers: int) -> NoReturn:
    """This process gives back all memory, and lives on as the command's parent until both end."""
    lib.ebtop_stand_by(ffi.new("struct ebtop_standby *", (command, watcher, go, asks, answers)))
    raise AssertionError("it came back")


ENDED_BYTES: int = ffi.sizeof("struct ebtop_ended")


def ended(data: bytes) -> tuple[int, dict[str, int]]:
    """The status of a command's end, and what it used, as `stand_by` says it."""
    row = ffi.from_buffer("struct ebtop_ended *", data)
    names = [name for name, _ in ffi.typeof("struct ebtop_ended").fields]
    return row.status, {name: getattr(row, name) for name in names}
