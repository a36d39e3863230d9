# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the rules that the tests themselves keep: each asserts something, and what several use is in
tests/support."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
MODULES = sorted(TESTS.rglob("test_*.py"))
SHARED = [*sorted((TESTS / "support").glob("*.py")), *sorted(TESTS.rglob("conftest.py"))]
CHECKS = {"pytest.raises", "pytest.fail"}
every_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            yield node


def called(function: ast.FunctionDef) -> set[str]:
    """The last words of what it calls, and what it asks pytest for."""
    calls = (node.func for node in ast.walk(function) if isinstance(node, ast.Call))
    words = {ast.unparse(call).rsplit(".", 1)[-1] for call in calls}
    return words | {argument.arg for argument in function.args.args}


def asserts(function: ast.FunctionDef) -> bool:
    return any(
        isinstance(node, ast.Assert)
        or (isinstance(node, ast.Call) and ast.unparse(node.func) in CHECKS)
        for node in ast.walk(function)
    )


def asserting(found: list[ast.FunctionDef], known: set[str]) -> set[str]:
    """The names of those that assert, themselves or by what they call."""
    names = known | {function.name for function in found if asserts(function)}
    while True:
        more = {f.name for f in found if called(f) & names} - names
        if not more:
            return names
        names |= more


SHARED_ASSERTING = asserting([one for path in SHARED for one in functions(path)], set())


@every_module
def test_each_test_asserts_something(path: Path) -> None:
    found = list(functions(path))
    names = asserting(found, SHARED_ASSERTING)
    assert not [f.name for f in found if f.name.startswith("test_") and f.name not in names]


@every_module
def test_no_test_module_imports_another(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            named = [node.module or ""]
        assert not [name for name in named if name.startswith("test_")]


def test_no_two_modules_have_one_name() -> None:
    """pytest imports them by it."""
    names = [path.name for path in MODULES]
    assert len(names) == len(set(names))


def test_a_test_that_asserts_nothing_is_found(tmp_path: Path) -> None:
    path = tmp_path / "test_it.py"
    path.write_text("def check(x):\n assert x\ndef test_a():\n check(1)\ndef test_b():\n run()\n")
    assert asserting(list(functions(path)), set()) == {"check", "test_a"}
