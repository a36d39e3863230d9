# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns how tests start ebtop as a process: this tree's, with nothing else on the path. And how they
read what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TREE = Path(__file__).resolve().parents[2]
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


def sample(done: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    """The only sample of a run that went well, with something true in it."""
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["processes"] and found["system"]["processes"] >= 1
    return found


def said(done: subprocess.CompletedProcess[bytes]) -> str:
    """The one line on standard error."""
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def doctor(done: subprocess.CompletedProcess[bytes]) -> dict[str, dict[str, Any]]:
    """What `doctor --json` says of each probe that was asked for."""
    assert done.returncode == 0 and not done.stderr, done.stderr
    return asked_for(json.loads(done.stdout))


def asked_for(said: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The probes of a sample or a report by name, without those that nobody wanted."""
    return {probe["name"]: probe for probe in said["probes"] if probe["state"] != "off"}


def all_on(said: dict[str, Any]) -> bool:
    return {probe["state"] for probe in asked_for(said).values()} == {"on"}


def loads_fast() -> bool:
    """Whether the extension has the fast loader: in a build with EBTOP_PLAIN_LOADER=1 no threads
    load probes, and libbpf's copies of the kernel's types cost memory while it starts."""
    extension = next((TREE / "ebtop").glob("_core*.so"))
    return b"pthread_attr_setstacksize" in extension.read_bytes()
