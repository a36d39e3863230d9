# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what a live test may be let off for. That its kernel has no such thing is a fact, and the
kernel's own answer is the reason: an expected failure, also where live tests are forced. What the
machine lacks otherwise is a skip, which fails there. Anything else that goes wrong is no excuse."""

from __future__ import annotations

import errno
import os
import shutil
from typing import NoReturn

import pytest

NONE_SUCH = (
    errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOPROTOOPT, errno.EPROTONOSUPPORT,
    errno.EAFNOSUPPORT, errno.ESOCKTNOSUPPORT,
)  # fmt: skip


def from_kernel(what: str, said: OSError | str) -> NoReturn:
    """`said`: the error, or a line of a workload that ends in its text."""
    text = said if isinstance(said, str) else os.strerror(said.errno or 0)
    answer = text.rpartition(": ")[2].strip()
    assert answer in {os.strerror(number) for number in NONE_SUCH}, f"{what}: {text!r}"
    pytest.xfail(f"this kernel has no {what}: {text}")


def needs_ipv6() -> None:
    if not os.path.exists("/proc/net/if_inet6"):
        pytest.xfail("this kernel has no IPv6, or it is off: there is no /proc/net/if_inet6")


def needs_programs(*names: str) -> None:
    missing = [name for name in names if not shutil.which(name)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
