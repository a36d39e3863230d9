# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the errors that end a command, each with the exit status it means, and the names of levels.

Anything else that is raised is a bug. Failures of a single probe are data, not errors.
"""

from __future__ import annotations

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_IMPOSSIBLE = 77
LOG_LEVELS = ("error", "warning", "info", "debug")
"""From the gravest on."""


class EbtopError(Exception):
    """A failure while running. The text is one line for the user."""

    status = EXIT_FAILED


class UsageError(EbtopError):
    """What was asked for is wrong; the text names it and what is allowed."""

    status = EXIT_USAGE


class PermissionDenied(EbtopError):
    """The kernel would do it for somebody with more privilege."""

    status = EXIT_IMPOSSIBLE


class Unsupported(EbtopError):
    """This kernel cannot do it for anybody."""

    status = EXIT_IMPOSSIBLE
