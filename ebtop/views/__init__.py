# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the pictures: pure functions from a Snapshot and a ViewState to lines of styled text.

No view reads a file, a clock or a terminal, and none keeps anything between two calls.
"""
