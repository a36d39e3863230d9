# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns how packed rows are read: struct layouts taken from cffi, and tables over bytes.

The layouts come from the compiled extension, so that `bpf/abi.h` is written once. It reads no
kernel and calls no collector: `ffi` here is only asked about types.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, Iterator, Union

from ebtop._core import ffi

_CODES = {
    ("unsigned", 8): "Q",
    ("signed", 8): "q",
    ("unsigned", 4): "I",
    ("signed", 4): "i",
}
_UNSIGNED = ("unsigned", "__u", "uint")


@dataclass(frozen=True)
class Field:
    """One member of a packed row; `offset` in bytes, `code` as in the struct module."""

    name: str
    offset: int
    code: str


class Layout:
    """The members of one C struct, with an array member spread into one field an element.

    `spread` names the elements: {"counters": ("oncpu_ns", ...)}.
    """

    def __init__(self, type_name: str, spread: dict[str, tuple[str, ...]] | None = None) -> None:
        ctype = ffi.typeof(type_name)
        self.type_name = type_name
        self.stride: int = ffi.sizeof(ctype)
        self.fields: dict[str, Field] = {}
        for name, member in ctype.fields:
            for field in _fields_of(name, member, (spread or {}).get(name)):
                self.fields[field.name] = field
        self._struct = struct.Struct("=" + "".join(f.code for f in self.fields.values()))
        self.names = tuple(self.fields)
        if self._struct.size != self.stride:
            raise TypeError(f"{type_name} has holes: {self._struct.size} != {self.stride}")

    def pack(self, values: dict[str, Any]) -> bytes:
        """One row as bytes; a missing integer is 0 and a missing text empty."""
        defaults = (b"" if f.code.endswith("s") else 0 for f in self.fields.values())
        row = [values.get(name, d) for name, d in zip(self.names, defaults)]
        return self._struct.pack(*row)

    def unpack(self, data: Union[bytes, memoryview], index: int) -> dict[str, Any]:
        """Row `index` of packed rows as a dict; char arrays are bytes cut at the first NUL."""
        values = dict(zip(self.names, self._struct.unpack_from(data, index * self.stride)))
        for name, value in values.items():
            if isinstance(value, bytes):
                values[name] = value.split(b"\0", 1)[0]
        return values

    def column(self, data: Union[bytes, memoryview], name: str) -> list[int]:
        """All values of one integer member, in row order."""
        field = self.fields[name]
        width = struct.calcsize("=" + field.code)
        view: Any = memoryview(data)
        values: list[int] = view.cast(field.code)[
            field.offset // width :: self.stride // width
        ].tolist()
        return values


def _fields_of(name: str, member: Any, elements: tuple[str, ...] | None) -> Iterator[Field]:
    ctype = member.type
    if ctype.kind == "array":
        if ctype.item.cname == "char":
            yield Field(name, member.offset, f"{ctype.length}s")
            return
        code, width = _code(ctype.item)
        names = elements or tuple(f"{name}_{i}" for i in range(ctype.length))
        if len(names) != ctype.length:
            raise TypeError(f"{name} has {ctype.length} elements, {len(names)} names")
        for i, element in enumerate(names):
            yield Field(element, member.offset + i * width, code)
        return
    yield Field(name, member.offset, _code(ctype)[0])


def _code(ctype: Any) -> tuple[str, int]:
    width = ffi.sizeof(ctype)
    sign = "unsigned" if ctype.cname.startswith(_UNSIGNED) else "signed"
    return _CODES[(sign, width)], width


def enum_names(type_name: str, prefix: str, last: str | None = None) -> tuple[str, ...]:
    """Names of a C enum in order of value, lower case, without `prefix`; `last` is the count."""
    by_value = ffi.typeof(type_name).elements
    count = next((v for v, n in by_value.items() if n == last), len(by_value))
    return tuple(by_value[i][len(prefix) :].lower() for i in range(count))


COUNTERS = enum_names("enum ebtop_counter", "EBTOP_", "EBTOP_COUNTERS")
LOSSES = enum_names("enum ebtop_loss", "EBTOP_LOST_", "EBTOP_LOSSES")
EVENT_TYPES = enum_names("enum ebtop_event_type", "EBTOP_EVENT_", "EBTOP_EVENT_TYPES")
PROBE_STATES = ("off", "on", "unsupported", "denied", "failed")
FACTS = {
    name[len("EBTOP_FACT_") :].lower(): bit
    for bit, name in ffi.typeof("enum ebtop_fact").elements.items()
}
_GROUPS = sorted(ffi.typeof("enum ebtop_group_first").elements)
"""The first counter of each group of counters that are known together."""
KNOWN_BIT = {**{n: bisect_right(_GROUPS, i) - 1 for i, n in enumerate(COUNTERS)}, **FACTS}
"""The bit of `known` by counter and fact; those of one group share theirs."""


def known_mask(*names: str) -> int:
    """The bits of a row's `known` that say that all of these hold a value."""
    mask = 0
    for name in names:
        mask |= 1 << KNOWN_BIT[name]
    return mask


RAN, BORN, EXITED, KERNEL, ARGS_CUT, DIVIDED, DISK_SLOW, FOLLOWED = (1, 2, 4, 8, 16, 32, 64, 128)
EXECED = 256
COMM_BYTES = 16
TEXT_CUT, TEXT_UNREAD, SIGNAL_IGNORED, PATH_CUT, PATH_REMOVED = (1, 2, 4, 8, 16)
CATEGORIES = enum_names("enum ebtop_syscall_category", "EBTOP_CATEGORY_", "EBTOP_CATEGORIES")

HIERARCHIES = enum_names("enum ebtop_hierarchy", "EBTOP_HIERARCHY_")
"""The hierarchy of a cgroup number is in the bits from HIERARCHY_SHIFT on."""
HIERARCHY_SHIFT = 62

ROW = Layout("struct ebtop_row", {"counters": COUNTERS})
EVENT = Layout("struct ebtop_event_row")
CALL = Layout("struct ebtop_call")
CPU = Layout("struct ebtop_cpu_row")
PROBE = Layout("struct ebtop_probe_row")
PROGRAM = Layout("struct ebtop_program_row")
SLOW = Layout("struct ebtop_slow_data")
SLOW_KINDS = enum_names("enum ebtop_slow_kind", "EBTOP_SLOW_")
SLOW_ABOUT = enum_names("enum ebtop_slow_about", "EBTOP_ABOUT_")
FILE_PART_BYTES = 40
CONNECTION = Layout("struct ebtop_connection")
"""Addresses are `saddr_0` to `saddr_3` and `daddr_0` to `daddr_3`."""
CLOSE_REASONS = enum_names("enum ebtop_close_reason", "EBTOP_CLOSED_", "EBTOP_CLOSE_REASONS")
CONN_OUT, CONN_IN, CONN_COUNTED, CONN_CLOSED, CONN_LEFT = (1, 2, 8, 128, 256)
LOG2_BUCKETS = 64
NOT_COUNTED = (1 << 64) - 1
"""Of memory: EBTOP_NOT_COUNTED, not known."""
MEMORY_PARTS = ("rss_anon_bytes", "rss_file_bytes", "rss_shmem_bytes", "swap_bytes", "mappings")
SIZES = Layout("struct ebtop_sizes_row")
"""`sizes_0`, `sizes_1`, ... beside the named members."""
SIZE_CLASSES, SIZE_FROM = 16, 12
WAIT = Layout("struct ebtop_wait_row")
"""`frame_0`, `frame_1`, ... beside the named members."""
FILE = Layout("struct ebtop_file_row")
FULLNESS = Layout("struct ebtop_fullness_row")
WINDOWS = enum_names("enum ebtop_window", "EBTOP_WINDOW_", "EBTOP_WINDOWS")
"""What the table of system calls can cover."""
SYSCALL = Layout("struct ebtop_syscall_row")
"""`histogram_0` to `histogram_63` beside the named members."""
DISK = Layout("struct ebtop_disk_row")
DISK_FACTS = enum_names("enum ebtop_disk_fact", "EBTOP_DISK_FACT_")
"""Bits of `known` in order."""
SYSTEM = Layout(
    "struct ebtop_system_row",
    {
        "events": tuple("events_" + n for n in EVENT_TYPES),
        "lost": tuple("lost_" + n for n in LOSSES),
        "lost_total": tuple("lost_total_" + n for n in LOSSES),
    },
)


@dataclass(frozen=True)
class Table:
    """Packed rows of one layout. Immutable, and independent of the collector's buffers."""

    layout: Layout
    data: Union[bytes, memoryview]

    def __len__(self) -> int:
        return len(self.data) // self.layout.stride

    def row(self, index: int) -> dict[str, Any]:
        return self.layout.unpack(self.data, index)

    def rows(self) -> Iterator[dict[str, Any]]:
        return (self.row(i) for i in range(len(self)))

    def column(self, name: str) -> list[int]:
        return self.layout.column(self.data, name)
