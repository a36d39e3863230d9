# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The border: header, extension and Python layouts say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ebtop._core import ffi, lib

from ebtop.model import layout

ROOT = Path(__file__).resolve().parents[2]
ABI = (ROOT / "bpf" / "abi.h").read_text("ascii")
STRUCTS = re.findall(r"^struct (ebtop_\w+) \{", ABI, flags=re.M)


def test_the_header_names_structs() -> None:
    assert len(STRUCTS) >= 12


@pytest.mark.parametrize("name", STRUCTS)
def test_struct_has_no_holes_and_whole_words(name: str) -> None:
    ctype = ffi.typeof(f"struct {name}")
    end = 0
    for member, field in ctype.fields:
        assert field.offset == end, f"hole before {member}"
        end += ffi.sizeof(field.type)
    assert end == ffi.sizeof(ctype)
    assert end % 8 == 0


@pytest.mark.parametrize("name", STRUCTS)
def test_dialect_has_no_pointers_bits_or_unsized_types(name: str) -> None:
    body = re.search(rf"^struct {name} \{{(.*?)^\}};", ABI, flags=re.M | re.S)
    assert body
    code = re.sub(r"/\*.*?\*/", "", body.group(1), flags=re.S)
    for line in filter(None, (part.strip() for part in code.split(";"))):
        assert re.match(
            r"(__[us](64|32)|char|struct ebtop_(event|call|connection|disk_counts|slow_data)) "
            r"\w+(\[\w+\])?(, \w+)*$",
            line,
        )


def test_a_slot_is_two_cache_lines() -> None:
    assert ffi.sizeof("struct ebtop_slot") == 128


@pytest.mark.parametrize(
    "table", [layout.ROW, layout.EVENT, layout.CPU, layout.PROBE, layout.SYSTEM, layout.CALL]
)
def test_packed_row_comes_back_as_it_was(table: layout.Layout) -> None:
    values = {}
    for i, (name, field) in enumerate(table.fields.items()):
        values[name] = b"ab" if field.code.endswith("s") else i + 1
    data = table.pack({}) + table.pack(values)
    assert layout.Table(table, data).row(1) == values
    for name, field in table.fields.items():
        if not field.code.endswith("s"):
            assert table.column(data, name) == [0, values[name]]


def test_columns_read_the_member_they_name() -> None:
    raw = ffi.new("struct ebtop_row *")
    raw.counters[lib.EBTOP_RUNQ_WAIT_NS] = 7
    raw.ppid = 5
    raw.exit_code = -3
    row = layout.Table(layout.ROW, bytes(ffi.buffer(raw))).row(0)
    assert (row["runq_wait_ns"], row["ppid"], row["exit_code"]) == (7, 5, -3)


def test_known_bits_of_groups_and_facts_do_not_clash() -> None:
    groups = {layout.KNOWN_BIT[name] for name in layout.COUNTERS}
    assert groups == set(range(lib.EBTOP_KNOWN_GROUPS))
    assert len(set(layout.FACTS.values())) == len(layout.FACTS)
    assert not groups & set(layout.FACTS.values())
    assert max(layout.FACTS.values()) < 64


def test_each_group_begins_with_the_counter_that_the_header_names() -> None:
    bits = ffi.typeof("enum ebtop_known").relements
    firsts = ffi.typeof("enum ebtop_group_first").elements
    for counter, name in firsts.items():
        group = bits[name.replace("_FIRST_", "_KNOWN_")]
        assert layout.KNOWN_BIT[layout.COUNTERS[counter]] == group
        if counter:
            assert layout.KNOWN_BIT[layout.COUNTERS[counter - 1]] == group - 1


def test_constants_typed_in_python_are_those_of_the_header() -> None:
    flags = (layout.RAN, layout.BORN, layout.EXITED, layout.KERNEL, layout.ARGS_CUT)
    flags += (layout.DIVIDED, layout.DISK_SLOW, layout.FOLLOWED, layout.EXECED)
    names = ("RAN", "BORN", "EXITED", "KERNEL", "ARGS_CUT", "DIVIDED", "DISK_SLOW")
    names += ("FOLLOWED", "EXECED")
    assert flags == tuple(getattr(lib, "EBTOP_ROW_" + name) for name in names)
    assert layout.HIERARCHY_SHIFT == lib.EBTOP_HIERARCHY_SHIFT
    assert layout.COMM_BYTES == lib.EBTOP_COMM_BYTES
    states = ffi.typeof("enum ebtop_probe_state").elements
    assert (
        tuple(states[i][len("EBTOP_PROBE_") :].lower() for i in range(len(states)))
        == layout.PROBE_STATES
    )
