# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the log that `--log` asks for: one JSON object a line, of the level asked for or graver.

Standard error is unaffected; its messages are also in the log. The file belongs to the invoking
user, is appended to, and must not be a link. If the log cannot be written any more it is closed,
and the command continues.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from typing import Any, Optional

from ebtop.errors import LOG_LEVELS, EbtopError
from ebtop.runtime import privilege, stdio
from ebtop.runtime.user_files import open_for
from ebtop.text import displayable

_current: Optional[Log] = None


class Log:
    """An open log. `at` is the least grave level that is written."""

    def __init__(self, fd: int, at: str) -> None:
        self._fd: Optional[int] = fd
        self._levels = LOG_LEVELS[: LOG_LEVELS.index(at) + 1]

    def write(self, level: str, message: str, **facts: Any) -> None:
        if level in self._levels:
            self._line({"level": level, "message": displayable(message), **facts})

    def _line(self, values: Mapping[str, Any]) -> None:
        if self._fd is None:
            return
        now = time.time_ns()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9))
        line = {"time": f"{stamp}.{now // 1000 % 10**6:06d}Z", "pid": os.getpid(), **values}
        data = json.dumps(line, ensure_ascii=True, allow_nan=False, default=str) + "\n"
        before = os.fstat(self._fd).st_size
        try:
            stdio.write_all(data.encode("ascii"), self._fd)
        except (EbtopError, stdio.OutputClosed) as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, before)  # or the next log would be glued to half a line
            os.close(self._fd)
            self._fd = None
            stdio.say(f"the log has ended: {error}")


def begin(path: str, level: str) -> None:
    """From now on the messages of `say` and the entries of `note` go to this file.

    Raises EbtopError when the file cannot be written.
    """
    global _current
    user = privilege.caller(os.environ) if os.geteuid() == 0 else None
    if user is not None and privilege.obstacle(user):
        user = None
    _current = Log(open_for(path, user, append=True), level)
    stdio.also_said = lambda message: note("warning", message)


def note(level: str, message: str, **facts: Any) -> None:
    """A line, where there is a log and the level is wanted."""
    if _current is not None:
        _current.write(level, message, **facts)


def is_open() -> bool:
    return _current is not None
