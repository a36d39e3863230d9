# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the functions of a kernel stack by their names."""

from __future__ import annotations

from collections.abc import Mapping

from ebtop.model.process_table import Row


def frames(row: Row, symbols: Mapping[int, bytes]) -> list[bytes]:
    """By address where there is no name; the innermost first."""
    addresses = [row[f"frame_{index}"] for index in range(row["frames"])]
    return [symbols.get(address) or b"%#x" % address for address in addresses]
