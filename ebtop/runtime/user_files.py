# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the files that the user names for output (reports, samples, the log): they are opened with
the rights of that user, and must be regular files.
"""

from __future__ import annotations

import os
import stat
from typing import Optional

from ebtop.errors import EbtopError
from ebtop.runtime.privilege import User
from ebtop.text import displayable

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def open_for(path: str, user: Optional[User], append: bool = False) -> int:
    """Opens the file, truncated or for appending. Raises EbtopError with the reason. `user`: whose
    rights apply."""
    groups = os.getgroups()
    if user is not None:
        os.setgroups([user.gid])
        os.setegid(user.gid)
        os.seteuid(user.uid)
    try:
        return _open(path, append)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not a name of a file"
        raise EbtopError(f"cannot write {displayable(path)}: {why}") from None
    finally:
        if user is not None:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)


def _open(path: str, append: bool) -> int:
    fd = os.open(path, _FLAGS | (os.O_APPEND if append else 0), 0o600)
    status = os.fstat(fd)
    own = status.st_uid == os.geteuid() and status.st_nlink == 1
    if not (stat.S_ISREG(status.st_mode) and own):
        os.close(fd)
        raise EbtopError(f"cannot write {displayable(path)}: not a plain file of your own")
    return fd
