# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the pages on privileges say of the code holds, as far as text can tell."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXECS = {
    "guard.py": "as root, before the small parent gives up",
    "run_command.py": "the command of run, which becomes its user's own",
    "choose.py": "sudo, before anything is opened",
    "work.py": "what selftest counts, as its user's own, with /dev/null alone",
}


@pytest.mark.parametrize("page", ["privileges.md", "SECURITY.md"])
def test_every_test_that_is_named_exists(page: str) -> None:
    named = set(re.findall(r"test_\w+\.py", (ROOT / "docs" / page).read_text("utf-8")))
    assert named
    there = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert named <= there


def test_only_these_begin_another_program() -> None:
    """exec makes a process traceable by its user: none may come after another user was taken."""
    found = set()
    for path in (ROOT / "ebtop").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = node.attr if isinstance(node, ast.Attribute) else ""
            if name.startswith(("exec", "spawn", "posix_spawn")) and name != "exec_dynamic":
                found.add((path.name, ast.unparse(node)))
    names = {name for name, what in found if what.startswith(("os.", "posix."))}
    assert names == EXECS.keys()


def test_the_c_begins_none() -> None:
    """But `run`'s command, with an environment that Python would not pass on."""
    files = (path for path in (ROOT / "csrc").rglob("*.c") if path.name != "execute.c")
    text = "".join(path.read_text() for path in files)
    assert not re.search(r"\b(execve?[lvpe]*|posix_spawnp?|system|popen|fork)\(", text)
