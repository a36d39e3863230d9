# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A probe is one thing: a value of the enum, a file in C, a row in the table, all of one name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ebtop._core import ffi

ROOT = Path(__file__).resolve().parents[2]
PROBES = ROOT / "csrc" / "probes"
NAMES = {
    name[len("EBTOP_") :].lower(): value
    for name, value in ffi.typeof("enum ebtop_probe").relements.items()
    if name != "EBTOP_PROBES"
}
WITHOUT_PROGRAMS = {"stacks", "mem"}


def text_of(name: str) -> str:
    return (PROBES / f"{name}.c").read_text("ascii")


def field(name: str, what: str) -> str:
    found = re.search(rf"\n\t\.{what} = (.+?),", text_of(name))
    return found.group(1) if found else "0"


def test_table_has_every_probe_in_its_place() -> None:
    rows = re.findall(r"\[EBTOP_(\w+)\] = &(\w+)_probe,", text_of("table"))
    assert [row[0].lower() for row in rows] == [row[1] for row in rows]
    assert [row[1] for row in rows] == sorted(NAMES, key=lambda name: NAMES[name])
    assert sorted(NAMES.values()) == list(range(len(NAMES)))


@pytest.mark.parametrize("name", NAMES)
def test_a_probe_has_its_name_everywhere(name: str) -> None:
    assert field(name, "name") == f'"{name}"'
    assert f"const struct probe_ops {name}_probe = {{" in text_of(name)
    has_programs = (ROOT / "bpf" / f"{name}.bpf.c").exists()
    assert has_programs == (name not in WITHOUT_PROGRAMS)
    assert field(name, "elf_bytes") == (f"{name}_bpf__elf_bytes" if has_programs else "0")


@pytest.mark.parametrize("what", ["open_rank", "load_rank"])
def test_no_two_probes_have_one_rank(what: str) -> None:
    ranks = [rank for name in NAMES if (rank := field(name, what)) != "0"]
    assert len(ranks) > 5 and len(set(ranks)) == len(ranks)


def test_carriers_are_opened_after_those_that_they_carry() -> None:
    carried = {name: field(name, "carrier") for name in NAMES if field(name, "carrier") != "0"}
    assert carried == dict.fromkeys(("open", "vfs", "mem"), "BIT(EBTOP_SYSCALL)") | {
        "stacks": "BIT(EBTOP_SCHED)"
    }
    last = int(field("syscall", "open_rank"))
    assert all(int(field(name, "open_rank")) < last for name in ("open", "vfs", "mem"))


def test_nothing_else_in_c_spells_a_probe_that_comes_and_goes() -> None:
    """Who works with probes goes through the table."""
    names = [name.upper() for name in NAMES if field(name, "on_demand") == "1"]
    spelled = re.compile(rf"\bEBTOP_(?:{'|'.join(names)})\b")
    apart = {"skel", "ebtop.h", "table.c", *(f"{name}.c" for name in NAMES)}
    others = [path for path in (ROOT / "csrc").rglob("*.[ch]") if not apart & set(path.parts)]
    assert len(others) > 50
    assert {path.name for path in others if spelled.search(path.read_text("ascii"))} == set()
