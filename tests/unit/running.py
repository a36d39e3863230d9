# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns how tests start ebtop as a process: this tree's, with nothing else on the path."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
_START = f"import sys; sys.path.insert(0, {str(TREE)!r}); from ebtop.cli import main;"


def command(*arguments: str) -> list[str]:
    # -I, as the installed script has it: no current directory, no PYTHON* variables
    return [sys.executable, "-I", "-c", _START + "sys.exit(main())", *arguments]


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
