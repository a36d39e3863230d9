# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the gates of the architecture in C: who may include whom, how long a function may be, and
that each file says what it owns. For Python test_imports.py does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"
ORDER = ["", "probes", "rows", "accounts", "loader", "shared", "util"]
"""Folders of csrc from the top down: each may include those after it, and itself. The first is csrc
itself, where session.c puts the others together."""
LAYOUTS = {"ebtop.h", "abi.h"}
"""What crosses a border is known to all."""
ALONE = {"loader": {"util"}}
"""Folders that know fewer than those below them."""
LINES_OF_A_FUNCTION = 60
FOREIGN = CSRC / "loader" / "elf"
"""The interface of another library: its names and their order are not ours."""
OWN = sorted(
    path
    for folder in (CSRC, ROOT / "bpf")
    for path in folder.rglob("*.[ch]")
    if "skel" not in path.parts and FOREIGN not in path.parents
)
C_FILES = [path for path in OWN if CSRC in path.parents]


def includes(path: Path) -> list[str]:
    return re.findall(r'^#include "(.+)"$', path.read_text("ascii"), re.M)


def folder_of(name: str) -> str:
    return name.rpartition("/")[0]


def place(path: Path) -> str:
    return path.relative_to(CSRC).as_posix()


def unit(name: str) -> str:
    """A header and what implements it are one."""
    return name.rpartition(".")[0]


def test_every_folder_has_its_place() -> None:
    folders = {folder_of(place(path)) for path in C_FILES}
    assert folders == set(ORDER)
    assert len(C_FILES) > 80


@pytest.mark.parametrize("path", C_FILES, ids=place)
def test_arrows_point_down(path: Path) -> None:
    own = folder_of(place(path))
    for name in includes(path):
        if name in LAYOUTS or name.startswith("skel/"):
            continue
        assert (CSRC / name).exists(), f"{name}: say the folder"
        other = folder_of(name)
        assert ORDER.index(other) >= ORDER.index(own), f"{own or 'csrc'} may not know {name}"
        assert other == own or other in ALONE.get(own, {other}), f"{own} needs no {name}"


def test_no_file_needs_itself() -> None:
    """By includes; a header that several files implement counts with the one of its name."""
    needs: dict[str, set[str]] = {}
    for path in C_FILES:
        own = unit(place(path))
        others = {unit(name) for name in includes(path) if (CSRC / name).exists()}
        needs.setdefault(own, set()).update(others - {own, "ebtop"})
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name in done:
            return
        for other in sorted(needs.get(name, ())):
            visit(other, (*way, name))
        done.add(name)

    for name in sorted(needs):
        visit(name, ())


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_head_says_what_the_file_owns(path: Path) -> None:
    text = path.read_text("ascii")
    licence = "SPDX-License-Identifier: GPL-2.0"
    assert licence in text.split("\n", 1)[0]
    head = re.match(r".*\n\n/\*\n \* (.+?)\n \*/\n", text, re.S)
    assert head and len(head.group(1)) > 20, "a paragraph follows the licence"


def functions(path: Path) -> list[tuple[str, int]]:
    """Each with its lines: from the line before `{` in the first column to the `}` there."""
    lines = path.read_text("ascii").split("\n")
    found, began = [], 0
    for number, line in enumerate(lines):
        if line == "{":
            began = number
        elif line == "}" and began:
            found.append((lines[began - 1].strip(), number - began + 1))
            began = 0
    return found


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    assert [f for f in functions(path) if f[1] > LINES_OF_A_FUNCTION] == []


def test_functions_are_found() -> None:
    lengths = [lines for path in C_FILES for _, lines in functions(path)]
    assert len(lengths) > 600 and sum(lengths) / len(lengths) < 20
