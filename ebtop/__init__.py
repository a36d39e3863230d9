# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the version. It imports nothing, so that asking for the version loads nothing."""

__version__ = "0.1.0"
