# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the gates of the architecture: who may import what, and that text has one way out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "ebtop"
MODULES = sorted(PACKAGE.rglob("*.py"))

FLOORS = (
    "", "runtime", "model", "sources", "options", "control", "outputs", "ui", "commands",
)  # fmt: skip
"""Folders, the lowest first: each imports from itself and from those before it. The first is the
package's own files, but for the two that stand above all."""
TOP = ("cli", "__main__")
PURE = [
    # which of them are this machine's, that one asks the machine
    *sorted({*(PACKAGE / "model").glob("*.py")} - {PACKAGE / "model" / "syscallnames.py"}),
    *sorted((PACKAGE / "ui" / "views").glob("*.py")),
    *(PACKAGE / name for name in ("text.py", "units.py", "probes.py", "outputs/sample_json.py",
                                  "ui/batch.py", "ui/state.py", "ui/actions.py", "ui/keys.py",
                                  "control/budget.py", "control/pace.py")),
]  # fmt: skip

OWNERS = {
    "ebtop._core": {"sources/bpf.py", "model/layout.py", "runtime/native.py"},
    "_curses": set[str](),
    "curses": {"ui/screen.py"},
}
STATE = "ebtop.ui.state"
"""What the user chose to see: nobody's concern but the dashboard's and its pictures'."""
LOOPBACK = "commands/selftest/work.py"
"""The one file that opens sockets: to itself, in a process without privileges, when told to."""
NO_ONE = {"socket", "pickle", "shelve", "marshal", "ctypes", "http", "urllib", "asyncio"}
NO_VIEW = {
    "os", "sys", "io", "pathlib", "subprocess", "threading", "select", "signal", "shutil", "pwd",
    *(f"ebtop.sources.{name}" for name in ("bpf", "procfs", "host", "cmdline")),
    *(f"ebtop.ui.{name}" for name in ("screen", "loop", "dashboard")),
}  # fmt: skip
OWN_WORDS = {
    # text that ebtop's own C wrote, and names of keys and capabilities: nobody outside chose it
    "runtime/native.py": {"ffi.string(error.where)", "ffi.string(error.what)"},
    "sources/bpf.py": {"ffi.string(text)", "row['reason']", "row['name']", "row['hook']"},
    "ui/screen.py": {"curses.keyname(code)"},
    "ui/supervisor.py": {"entered[-1]"},
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


def module_of(path: Path) -> str:
    return "ebtop." + name_of(path)[: -len(".py")].replace("/", ".")


NAMES = {module_of(path): path for path in MODULES}


def neighbours(path: Path) -> set[str]:
    """The modules of ebtop that this one imports, wherever in it that stands."""
    return set(imported(path)) & NAMES.keys() - {module_of(path)}


def floor_of(module: str) -> int:
    folder, _, name = module[len("ebtop.") :].rpartition(".")
    return len(FLOORS) if not folder and name in TOP else FLOORS.index(folder.split(".")[0])


def test_every_folder_has_its_floor_and_its_package_is_empty() -> None:
    folders = {path.parent for path in MODULES}
    assert {str(folder.relative_to(PACKAGE)).split("/")[0] for folder in folders} == {
        ".", *FLOORS[1:]
    }  # fmt: skip
    for folder in folders - {PACKAGE}:
        assert (folder / "__init__.py").read_bytes() == b"", "a start would pay for it"


@every_module
def test_no_import_runs_up(path: Path) -> None:
    own = floor_of(module_of(path))
    assert not {module for module in neighbours(path) if floor_of(module) > own}


def test_no_files_import_each_other_in_a_circle() -> None:
    left = {module: neighbours(path) for module, path in NAMES.items()}
    while ready := {module for module, needed in left.items() if not needed & left.keys()}:
        left = {module: needed for module, needed in left.items() if module not in ready}
    assert not left, "these do, or import one that does"


@every_module
def test_only_the_dashboard_knows_the_state_of_a_view(path: Path) -> None:
    assert STATE not in neighbours(path) or name_of(path).startswith("ui/")


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


@pytest.mark.parametrize("path", PURE, ids=name_of)
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
