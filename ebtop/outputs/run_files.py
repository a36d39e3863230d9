# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what `ebtop run` writes: the report and the samples, to standard output or to files that the
user names.

A piece that does not fit is removed again, so that no torn piece stays; such pieces are counted,
and reported in one line.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable
from typing import Optional

from ebtop.errors import EbtopError, UsageError
from ebtop.runtime.privilege import User
from ebtop.runtime.stdio import OutputClosed, say, write_all
from ebtop.runtime.user_files import open_for
from ebtop.text import displayable

_STANDARD = {1: "standard output", 2: "standard error"}


class Files:
    """The destinations of the report and of the samples; files are created or truncated.

    Raises EbtopError if a file cannot be opened, UsageError if it already is another output.
    """

    def __init__(self, output: Optional[str], samples: Optional[str], user: Optional[User]) -> None:
        paths = {"--output": output, "--samples": samples}
        fds = {option: open_for(path, user) for option, path in paths.items() if path is not None}
        _check_apart(fds)
        for fd in fds.values():
            os.ftruncate(fd, 0)
        self._report = _Target(fds.get("--output", 1), output)
        self._samples = _Target(fds["--samples"], samples) if samples is not None else None

    @property
    def want_samples(self) -> bool:
        return self._samples is not None

    def add_sample(self, line: str) -> None:
        if self._samples is not None:
            self._samples.add([line])

    def write_report(self, pieces: Iterable[str]) -> None:
        self._report.add(pieces)

    def close(self) -> bool:
        """Reports what could not be written; returns whether everything was."""
        for target, what in ((self._report, "report"), (self._samples, "samples")):
            if target is None:
                continue
            target.close()
            if target.missing and target.reason:
                say(f"{_missing(target, what)}: {target.reason}")
        return not self._report.missing and not (self._samples and self._samples.missing)


def _missing(target: _Target, what: str) -> str:
    if target.path is None:
        return f"cannot write the {what}"
    name = displayable(target.path)
    if what == "report":
        return f"the report is not in {name}"
    return f"{target.missing} of {target.whole + target.missing} {what} are not in {name}"


class _Target:
    """One destination. `path` of a file; None: standard output, from which nothing can be
    removed."""

    def __init__(self, fd: int, path: Optional[str]) -> None:
        self._fd = fd
        self.path = path
        self.whole = 0
        self.missing = 0
        self.reason = ""
        """Why something is missing; empty when its reader has gone."""

    def add(self, pieces: Iterable[str]) -> None:
        """All of it or nothing. After a failure the next may fit again."""
        begin = os.lseek(self._fd, 0, os.SEEK_CUR) if self.path is not None else 0
        try:
            for piece in pieces:
                write_all(piece.encode("utf-8"), self._fd)
            self.whole += 1
        except OutputClosed:
            self.missing += 1
        except EbtopError as error:
            self.missing += 1
            self.reason = str(error).rpartition(": ")[2]
            if self.path is not None:
                self._take_back(begin)

    def close(self) -> None:
        """Some file systems report a lack of space only now."""
        if self.path is None:
            return
        try:
            os.close(self._fd)
        except OSError as error:
            self.missing, self.whole = self.missing + self.whole, 0
            self.reason = os.strerror(error.errno or errno.EIO)

    def _take_back(self, begin: int) -> None:
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, begin)
            os.lseek(self._fd, begin, os.SEEK_SET)


def _check_apart(fds: dict[str, int]) -> None:
    """Two descriptors of one file would overwrite each other, whatever the file's names."""
    met: dict[tuple[int, int], str] = {}
    for name, fd in (*((name, fd) for fd, name in _STANDARD.items()), *fds.items()):
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            continue
        other = met.setdefault((status.st_dev, status.st_ino), name)
        if other != name and name not in _STANDARD.values():
            raise UsageError(f"{name} is the file that {other} goes to")
