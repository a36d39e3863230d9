# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the gates of the architecture: who may import what, and that text has one way out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "ebtop"
MODULES = sorted(PACKAGE.rglob("*.py"))
VIEWS = sorted((PACKAGE / "views").glob("*.py"))
PURE_NAMES = "text columns filters model probes units viewstate eventlog batch jsonlines"
PURE = [PACKAGE / f"{name}.py" for name in PURE_NAMES.split()]

OWNERS = {
    "ebtop._core": {"session.py", "layout.py", "native.py"},
    "_curses": set[str](),
    "curses": {"screen.py"},
}
LOOPBACK = "selftest/work.py"
"""The one file that opens sockets: to itself, in a process without privileges, when told to."""
NO_ONE = {"socket", "pickle", "shelve", "marshal", "ctypes", "http", "urllib", "asyncio"}
NO_VIEW = {
    "os", "sys", "io", "pathlib", "subprocess", "threading", "select", "signal", "shutil", "pwd",
    "ebtop.session", "ebtop.procfs", "ebtop.host", "ebtop.cmdline", "ebtop.screen", "ebtop.loop",
    "ebtop.dashboard", "ebtop.cli",
}  # fmt: skip
OWN_WORDS = {
    # text that ebtop's own C wrote, and names of keys and capabilities: nobody outside chose it
    "native.py": {"ffi.string(error.where)", "ffi.string(error.what)"},
    "session.py": {"ffi.string(text)", "row['reason']", "row['name']", "row['hook']"},
    "screen.py": {"curses.keyname(code)"},
    "keeper.py": {"entered[-1]"},
}  # fmt: skip


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


every_module = pytest.mark.parametrize("path", MODULES, ids=name_of)


@every_module
def test_only_owners_import_the_extension_and_curses(path: Path) -> None:
    found = set(imported(path))
    for module, owners in OWNERS.items():
        uses = {name for name in found if name == module or name.startswith(module + ".")}
        assert not uses or name_of(path) in owners


@every_module
def test_nobody_imports_what_can_run_or_reach_others(path: Path) -> None:
    allowed = {"socket"} if name_of(path) == LOOPBACK else set()
    assert not {name.split(".")[0] for name in imported(path)} & NO_ONE - allowed


@pytest.mark.parametrize("path", [*VIEWS, *PURE], ids=name_of)
def test_views_do_no_io(path: Path) -> None:
    assert not set(imported(path)) & NO_VIEW
    for call in calls(path):
        assert ast.unparse(call.func) not in ("open", "print", "input", "time.time", "time.sleep")


@every_module
def test_no_shell_and_no_evaluated_text(path: Path) -> None:
    for call in calls(path):
        function = ast.unparse(call.func)
        assert function not in ("eval", "exec", "compile", "__import__", "os.system", "os.popen")
        for keyword in call.keywords:
            is_true = isinstance(keyword.value, ast.Constant) and bool(keyword.value.value)
            assert not (keyword.arg == "shell" and is_true)


@every_module
def test_text_from_outside_is_decoded_in_one_place(path: Path) -> None:
    if name_of(path) == "text.py":
        return
    allowed = OWN_WORDS.get(name_of(path), set())
    for call in calls(path):
        function = call.func
        if isinstance(function, ast.Attribute) and function.attr == "decode":
            assert ast.unparse(function.value) in allowed, ast.unparse(call)
        if isinstance(function, ast.Attribute) and function.attr in ("fsdecode", "decoder"):
            pytest.fail(ast.unparse(call))
        if ast.unparse(function) == "str":
            assert len(call.args) < 2 and not call.keywords, ast.unparse(call)
        for keyword in call.keywords:
            assert keyword.arg != "errors" or name_of(path) in allowed, ast.unparse(call)


@every_module
def test_every_file_says_its_licence_and_what_it_owns(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if text:
        assert text.startswith("# SPDX-License-Identifier: GPL-2.0-only OR MIT\n")
        assert ast.get_docstring(tree(path))


@every_module
def test_no_function_is_longer_than_a_screen(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno < 80, node.name
