# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns `python -m ebtop`: refuses to run as root on code that others could have planted.

The installed script starts Python with -I and an environment of its own, and needs no such check.
Nothing but built-in modules may be imported before it.
"""

import _signal  # type: ignore[import-not-found]
import posix
import sys


def _planted(folder: str, trusted: "set[int]") -> bool:
    """Whether another user may create files in the folder; a missing folder is judged by its
    parent."""
    try:
        status = posix.stat(folder or ".")
    except OSError:
        parent = folder.rstrip("/").rpartition("/")[0]
        return bool(parent) and _planted(parent, trusted)
    return status.st_uid not in trusted or bool(status.st_mode & 0o022)


def _is_chosen_by_caller() -> bool:
    """Whether the caller had a say in where Python looks: some variables are in force under -I."""
    names = (b"PYTHON", b"__PYVENV")
    return not sys.flags.isolated or any(name.startswith(names) for name in posix.environ)


def _refuse() -> None:
    if posix.geteuid() != 0 or not _is_chosen_by_caller():
        return
    sudo_uid = posix.environ.get(b"SUDO_UID", b"")
    trusted = {0} | ({int(sudo_uid)} if sudo_uid.isdigit() else set())
    for folder in sys.path:
        if _planted(folder, trusted):
            where = ascii(folder or posix.getcwd())
            sys.stderr.write(
                f"ebtop: not run as root: others can write to {where}, where Python looks for"
                " modules; use the installed ebtop script\n"
            )
            sys.exit(1)


# Ctrl-C ends it without a word also while modules are read
if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
_refuse()

from ebtop.cli import main  # noqa: E402 - the check comes first

sys.exit(main())
