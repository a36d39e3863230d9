# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns how tests start ebtop as a process: this tree's, with nothing else on the path."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
_START = f"import sys; sys.path.insert(0, {str(TREE)!r}); from ebtop.cli import main;"


def command(*arguments: str) -> list[str]:
    # -I, as the installed script has it: no current directory, no PYTHON* variables
    return [sys.executable, "-I", "-c", _START + "sys.exit(main())", *arguments]


NOBODY = {"user": 65534, "group": 65534, "extra_groups": []}


def why_not_as_nobody() -> str:
    """Empty when a test can start this Python with this tree as somebody without rights."""
    if os.geteuid() != 0:
        return "only root can become somebody else"
    for path in (Path(sys.executable).resolve(), TREE / "ebtop" / "cli.py"):
        if not all(part.stat().st_mode & 0o001 for part in path.parents):
            return f"others may not read {path}"
    return ""


def ebtop(*arguments: str, timeout: float = 30, **options: object) -> subprocess.CompletedProcess:
    """Runs it to the end, without a terminal."""
    settings = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "env": {**os.environ, "LC_ALL": "C.UTF-8"},
        **options,
    }
    return subprocess.run(command(*arguments), timeout=timeout, check=False, **settings)
