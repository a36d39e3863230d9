# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns a look into the BPF maps of a running ebtop from outside, without its help.

Whether what it finds is right is judged elsewhere.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import struct
from collections.abc import Iterator
from pathlib import Path

from ebtop.model.layout import Layout

SLOT = Layout("struct ebtop_slot")
FREE_SLOTS = Layout("struct ebtop_free_slots")
FREE = 0
_NUMBER = {"x86_64": 321, "aarch64": 280}[platform.machine()]
_LOOKUP, _NEXT_KEY, _FD_BY_ID, _INFO = 1, 4, 14, 15
_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    found: int = _libc.syscall(_NUMBER, command, buffer, len(attributes))
    if found < 0:
        raise OSError(ctypes.get_errno(), f"bpf({command})")
    return found


def live_threads() -> set[int]:
    """All that exist now, by number."""
    found: set[int] = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.update(int(name) for name in os.listdir(process / "task"))
        except OSError:  # gone meanwhile
            continue
    return found


def described(pid: int) -> dict[int, dict[str, str]]:
    """What the kernel says of each map that a process holds, by the map's id."""
    maps = {}
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            lines = path.read_text().splitlines()
        except OSError:  # closed by now
            continue
        words = {name: rest.strip() for name, _, rest in (line.partition(":") for line in lines)}
        if "map_id" in words:
            maps[int(words["map_id"])] = words
    return maps


class Map:
    """One map, held open: it stays, with its contents, when ebtop has ended."""

    def __init__(self, number: int) -> None:
        self._fd = _bpf(_FD_BY_ID, struct.pack("III", number, 0, 0))
        info = ctypes.create_string_buffer(80)
        _bpf(_INFO, struct.pack("IIQ", self._fd, len(info), ctypes.addressof(info)))
        _, _, self.key_bytes, self.value_bytes, self.entries, _, name = struct.unpack_from(
            "6I16s", info
        )
        self.name = name.split(b"\0", 1)[0].decode()

    def close(self) -> None:
        os.close(self._fd)

    def lookup(self, index: int) -> bytes:
        key = ctypes.c_uint32(index)
        value = ctypes.create_string_buffer(self.value_bytes)
        where = ctypes.addressof(key), ctypes.addressof(value)
        _bpf(_LOOKUP, struct.pack("IIQQQ", self._fd, 0, *where, 0))
        return value.raw

    def values(self) -> Iterator[bytes]:
        """All entries of a hash, as far as they stay while they are read."""
        key = ctypes.create_string_buffer(self.key_bytes)
        value = ctypes.create_string_buffer(self.value_bytes)
        where = ctypes.addressof(key), ctypes.addressof(value)
        before = 0
        while True:
            try:
                _bpf(_NEXT_KEY, struct.pack("IIQQQ", self._fd, 0, before, where[0], 0))
                _bpf(_LOOKUP, struct.pack("IIQQQ", self._fd, 0, *where, 0))
            except OSError:
                return
            before = where[0]
            yield value.raw

    def mapped(self) -> memoryview:
        """Its memory, as BPF writes it."""
        size = self.entries * self.value_bytes
        pages = -size % mmap.PAGESIZE + size
        return memoryview(mmap.mmap(self._fd, pages, prot=mmap.PROT_READ))[:size]


class Occupancy:
    """Which thread slots of a session are taken, and which pids lead to one."""

    def __init__(self, pid: int) -> None:
        maps: dict[str, Map] = {}
        for found in map(Map, sorted(described(pid), reverse=True)):
            # of several sessions in one process the youngest is meant
            if maps.setdefault(found.name, found) is not found:
                found.close()
        self._slots = maps["slots"].mapped()
        self._given_out = maps["free_slots"].mapped()
        self._list_bytes = maps["free_slots"].value_bytes
        self._pages = maps["pid_pages"]
        for name, found in maps.items():
            if name != "pid_pages":
                found.close()

    def used(self) -> int:
        return len(self.threads())

    def threads(self) -> list[int]:
        """The thread of each slot that is taken; the idle threads are all 0 and left out."""
        data: bytes = self._slots  # type: ignore[assignment]
        pairs = zip(SLOT.column(data, "state"), SLOT.column(data, "tid"))
        return [tid for state, tid in pairs if state != FREE and tid]

    def of_process(self, pid: int) -> int:
        """How many threads of a process have one."""
        data: bytes = self._slots  # type: ignore[assignment]
        pairs = zip(SLOT.column(data, "state"), SLOT.column(data, "pid"))
        return sum(state != FREE and owner == pid for state, owner in pairs)

    def given_out(self) -> int:
        """How many slots were taken so far: by each thread when born, or when first seen."""
        offset = FREE_SLOTS.fields["taken"].offset
        lists = range(offset, len(self._given_out), self._list_bytes)
        return sum(struct.unpack_from("I", self._given_out, where)[0] for where in lists)

    def pids(self) -> dict[int, int]:
        """The slot that each pid leads to; one that got none is there too."""
        per_page = self._pages.value_bytes // 4
        found = {}
        for page in range(self._pages.entries):
            data = self._pages.lookup(page)
            if any(data):
                slots = struct.unpack(f"{per_page}I", data)
                found.update({page * per_page + i: slot for i, slot in enumerate(slots) if slot})
        found.pop(0, None)
        return found

    def stale(self) -> set[int]:
        """Threads that have a slot, or whose pid leads to one, and that do not exist now."""
        return (set(self.threads()) | set(self.pids())) - live_threads()
