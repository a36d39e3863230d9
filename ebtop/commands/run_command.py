# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the process of `ebtop run`'s command: it is forked early, held until the probes run, and
then executes the command with the identity of the invoking user.

It knows no probes. It imports little: memory in use at the fork counts in the command's peak.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
from collections.abc import Callable
from typing import Any, Optional, Protocol

from ebtop.runtime.environment import BY_PYTHON, as_mapping, as_strings, given, ignored_signals
from ebtop.runtime.privilege import User
from ebtop.runtime.stdio import say

NOT_FOUND, NOT_EXECUTABLE = 127, 126
_ABANDONED = 125
_DEFAULT_PATH = b"/usr/local/bin:/usr/bin:/bin"
_ERRNO_BYTES = 4
_LOOK, _GO = b"?", b"!"
_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


class Parent(Protocol):
    """The command's parent, where that is another process."""

    def sees_end(self) -> bool: ...

    def wait(self) -> tuple[int, Any]: ...


class Command:
    """One command, not yet started. `user`: the identity it gets; None keeps ours."""

    def __init__(self, words: list[str], user: Optional[User]) -> None:
        self.words = words
        # we must see it end, even if our caller ignores SIGCHLD
        ignores_children = signal.signal(signal.SIGCHLD, signal.SIG_DFL) == signal.SIG_IGN
        held, self._go = os.pipe()
        self._failed, failed = os.pipe()
        self._said = b""
        self._parent: Optional[Parent] = None
        self.pid = os.fork()
        if self.pid == 0:
            status = _ABANDONED
            try:
                os.close(self._go)
                os.close(self._failed)
                _restore_signals(ignores_children)
                status = _become(words, user, held, failed)
            finally:
                os._exit(status)
        os.close(held)
        os.close(failed)

    def warm_up(self) -> None:
        """Lets the held process run once, so that the probes have a complete record of it before it
        starts."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._go, _LOOK)
        self._said = os.read(self._failed, 1)

    def release(self) -> Optional[int]:
        """Starts the command; returns the errno if exec fails, else None once the command runs."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._go, _GO)
        os.close(self._go)
        data = b"" if self._said == _LOOK else self._said
        while len(data) < _ERRNO_BYTES:
            part = os.read(self._failed, _ERRNO_BYTES - len(data))
            if not part:
                break
            data += part
        os.close(self._failed)
        return int.from_bytes(data, "little") if len(data) == _ERRNO_BYTES else None

    def abandon(self) -> None:
        """Ends the held process without running the command."""
        os.close(self._go)
        os.close(self._failed)
        if self._parent is None:
            os.waitpid(self.pid, 0)

    def has_ended(self) -> bool:
        """Whether the command has exited; it stays a zombie until `wait`."""
        if self._parent is not None:
            return self._parent.sees_end()
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self) -> tuple[int, Any]:
        """Its status, as wait(2) has it, and what it used, as getrusage(2) has it."""
        if self._parent is not None:
            return self._parent.wait()
        _, status, usage = os.wait4(self.pid, 0)
        return status, usage

    @property
    def go(self) -> int:
        """The descriptor by which it is let go."""
        return self._go

    @property
    def is_ours(self) -> bool:
        """Whether its parent is this process."""
        return self._parent is None

    def leave_to(self, parent: Parent) -> None:
        """From now on `parent`, another process, is the command's parent."""
        self._parent = parent


def run_in_place(words: list[str], user: Optional[User]) -> int:
    """Executes the command in this process; returns only when exec fails."""
    _restore_signals(signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN)
    try:
        path, strings = _prepare(words[0], user)
        _execute(path, [os.fsencode(word) for word in words], strings)
    except OSError as error:
        say(f"{words[0]}: {os.strerror(error.errno or errno.EIO)}")
        return status_of(error.errno or errno.EIO)
    return _ABANDONED


def status_of(error: int) -> int:
    """What a shell gives for a command that could not begin."""
    return NOT_FOUND if error in _MISSING else NOT_EXECUTABLE


def _become(words: list[str], user: Optional[User], held: int, failed: int) -> int:
    """Runs in the child. As much as possible is done before the probes watch it."""
    try:
        path, strings = _prepare(words[0], user)
        # one more iteration while the probes run, so that its sleep so far is known as a sleep
        while (told := os.read(held, 1)) != _GO:
            if told != _LOOK or os.write(failed, _LOOK) != 1:
                return _ABANDONED
        _execute(path, [os.fsencode(word) for word in words], strings)
    except OSError as error:
        os.write(failed, (error.errno or errno.EIO).to_bytes(_ERRNO_BYTES, "little"))
        return status_of(error.errno or errno.EIO)
    return _ABANDONED


def _prepare(word: str, user: Optional[User]) -> tuple[bytes, list[bytes]]:
    """Becomes the user, if there is one; the path of the program and its environment."""
    strings = given() or []
    if user is not None:
        variables = as_mapping(strings)
        _take_identity(user, variables)
        strings = as_strings(variables)
    return find(os.fsencode(word), as_mapping(strings).get(b"PATH")), strings


def _execute(path: bytes, words: list[bytes], strings: list[bytes]) -> None:
    execute = _executor(strings)
    try:
        execute(path, words)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        execute(b"/bin/sh", [b"/bin/sh", path, *words[1:]])


def _executor(strings: list[bytes]) -> Callable[[bytes, list[bytes]], object]:
    variables = as_mapping(strings)
    if as_strings(variables) == strings:
        return lambda path, words: os.execve(path, words, variables)
    # Python takes no two of a name, and none without; it costs memory, and so is not the usual way
    from ebtop.runtime.native import execute

    return lambda path, words: execute(path, words, strings)


def _restore_signals(ignores_children: bool) -> None:
    """Restores the signal dispositions that ebtop was started with, undoing Python's own
    changes."""
    ignored = ignored_signals()
    for number in BY_PYTHON:
        signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN if ignores_children else signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _take_identity(user: User, environment: dict[bytes, bytes]) -> None:
    """Takes the user's groups and ids, and undoes sudo's known changes to the environment."""
    import pwd

    name = None
    try:
        entry = pwd.getpwuid(user.uid)
        name = entry.pw_name
    except KeyError:
        os.setgroups([user.gid])
    else:
        os.initgroups(name, user.gid)
        own = {"USER": name, "LOGNAME": name, "HOME": entry.pw_dir, "SHELL": entry.pw_shell}
        environment.update((os.fsencode(k), os.fsencode(v)) for k, v in own.items())
    for variable in [word for word in environment if word.startswith(b"SUDO_")]:
        del environment[variable]
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)


def find(word: bytes, path: Optional[bytes]) -> bytes:
    """The file that a shell would run; raises OSError with why there is none."""
    if b"/" in word:
        return _checked(word)
    found: Optional[OSError] = None
    for folder in (_DEFAULT_PATH if path is None else path).split(b":"):
        try:
            return _checked(os.path.join(folder or b".", word))
        except OSError as error:
            if error.errno not in _MISSING:
                found = found or error
    raise found or OSError(errno.ENOENT, os.strerror(errno.ENOENT))


def _checked(path: bytes) -> bytes:
    if stat.S_ISDIR(os.stat(path).st_mode) or not os.access(path, os.X_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    return path
