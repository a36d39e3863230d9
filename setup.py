# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns how the package is built. What cffi and the C compiler are told is in csrc/build_ffi.py."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).resolve().parent
os.chdir(ROOT)
sys.path[:0] = [str(ROOT / "csrc"), str(ROOT / "vendor" / "libbpf")]


def make_launcher() -> str:
    """The script `ebtop`: the name is the file's, so it is made where nothing else is."""
    launcher = ROOT / "build" / "launcher" / "ebtop"
    launcher.parent.mkdir(parents=True, exist_ok=True)
    launcher.write_text((ROOT / "ebtop" / "launcher.sh").read_text("ascii"), "ascii")
    launcher.chmod(0o755)
    return str(launcher.relative_to(ROOT))


def build_options() -> dict[str, object]:
    """Whatever is missing (clang, libbpf's source) ends the build in words, not in a traceback."""
    from build_skeletons import ToolMissing
    from fetch import FetchError

    try:
        from build_ffi import libbpf_library, limited_api
    except ToolMissing as problem:
        sys.exit(str(problem))
    except FetchError as problem:
        sys.exit(f"libbpf: {problem}")
    options = {"bdist_wheel": {"py_limited_api": "cp39"}} if limited_api() else {}
    return {
        "cffi_modules": ["csrc/build_ffi.py:ffi"],
        "libraries": [libbpf_library()],
        "options": options,
    }


setup(scripts=[make_launcher()], **build_options())
