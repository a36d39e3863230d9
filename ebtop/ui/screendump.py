# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns writing what is on the screen to a file that the user named.

Root may be in another user's folder, where an existing name could be a trap: only new files are
created.
"""

from __future__ import annotations

import contextlib
import errno
import os

from ebtop.errors import EbtopError
from ebtop.runtime.stdio import write_all
from ebtop.text import displayable

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_text(path: str, text: str) -> tuple[str, bool]:
    """A message for the status line, and whether it is an error. No half-written file is left."""
    name = displayable(path)
    try:
        fd = os.open(path, _FLAGS, 0o600)
    except (OSError, ValueError) as error:
        code = getattr(error, "errno", None) or errno.EINVAL
        return (f"cannot write {name}: {os.strerror(code)}", True)
    try:
        write_all(text.encode("utf-8"), fd)
    except EbtopError as error:
        with contextlib.suppress(OSError):
            os.unlink(path)
        return (f"{error} ({name})", True)
    finally:
        os.close(fd)
    return (f"the screen was written to {name}", False)
