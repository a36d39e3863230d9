# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the compiled functions that act on this process (privileges, exec, standing by for a
command), and the translation of the collector's error codes.

The collector itself is sources/bpf.py's.
"""

from __future__ import annotations

import errno
from typing import Any, NoReturn, Optional

from ebtop._core import ffi, lib
from ebtop.errors import EbtopError, PermissionDenied, Unsupported


def check(code: int, error: Any) -> None:
    """Raises the exception for a negative errno of the collector; the only place that does."""
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
    """Drops all but these capabilities; with a uid becomes that user. This cannot be undone.

    Raises EbtopError if any step fails: the process must then exit.
    """
    error = ffi.new("struct ebtop_error *")
    user = lib.EBTOP_ANY_UID if uid is None else uid
    keep = ffi.new("struct ebtop_privileges *", (capabilities, user, gid))
    check(lib.ebtop_drop_privileges(keep, error), error)


def stand_by(command: int, watcher: int, go: int, asks: int, answers: int) -> NoReturn:
    """Frees all memory of this process, which then waits as the command's parent until both
    exit."""
    lib.ebtop_stand_by(ffi.new("struct ebtop_standby *", (command, watcher, go, asks, answers)))
    raise AssertionError("it came back")


ENDED_BYTES: int = ffi.sizeof("struct ebtop_ended")


def ended(data: bytes) -> tuple[int, dict[str, int]]:
    """The status of a command's end, and what it used, as `stand_by` says it."""
    row = ffi.from_buffer("struct ebtop_ended *", data)
    names = [name for name, _ in ffi.typeof("struct ebtop_ended").fields]
    return row.status, {name: getattr(row, name) for name in names}
