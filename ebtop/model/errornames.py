# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the names of errors as the kernel returns them."""

from __future__ import annotations

import errno
from functools import lru_cache
from typing import Optional


@lru_cache(maxsize=256)
def error_name(result: int) -> Optional[str]:
    """`ENOENT` for -2; None if the result is not an error."""
    return None if result >= 0 else errno.errorcode.get(-result, f"E{-result}")
