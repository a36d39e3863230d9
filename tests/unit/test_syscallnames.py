# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the tests of the names and categories of system calls."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from ebtop.model import syscallnames
from ebtop.model.syscallcategories import CATEGORIES
from ebtop.model.syscallnames import (
    COMPAT,
    NUMBERS,
    category_of,
    kinds,
    name_of,
    names,
    number_of,
)

ARCHITECTURES = ("x86_64", "i386", "aarch64", "arm")
INCLUDE = Path("/usr/include/x86_64-linux-gnu/asm")
KNOWN = {  # number and name as in the kernel's tables
    "x86_64": {0: "read", 60: "exit", 231: "exit_group", 257: "openat", 334: "rseq",
               424: "pidfd_send_signal", 435: "clone3", 437: "openat2"},
    "i386": {1: "exit", 5: "open", 102: "socketcall", 295: "openat", 403: "clock_gettime64",
             422: "futex_time64", 437: "openat2"},
    "aarch64": {56: "openat", 63: "read", 93: "exit", 94: "exit_group", 98: "futex",
                222: "mmap", 291: "statx", 437: "openat2"},
    "arm": {1: "exit", 3: "read", 248: "exit_group", 322: "openat", 341: "arm_sync_file_range",
            437: "openat2"},
}  # fmt: skip


def on(monkeypatch: pytest.MonkeyPatch, native: str) -> None:
    compat = syscallnames.COMPAT_OF.get(native, "")
    monkeypatch.setattr(
        syscallnames, "_architecture", lambda is_compat: (native, compat)[is_compat]
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_known_numbers_have_their_names(architecture: str) -> None:
    found = names(architecture)
    assert KNOWN[architecture].items() <= found.items()
    assert len(found) > 300
    assert max(found) < COMPAT
    assert len(set(found.values())) == len(found)


def test_every_name_is_in_exactly_one_category() -> None:
    placed = Counter(name for text in CATEGORIES.values() for name in text.split())
    assert [name for name, times in placed.items() if times > 1] == []
    assert set(placed) == {name for arch in ARCHITECTURES for name in names(arch).values()}


@pytest.mark.parametrize(
    "header, architecture", [("unistd_64.h", "x86_64"), ("unistd_32.h", "i386")]
)
def test_the_machines_own_header_says_the_same(header: str, architecture: str) -> None:
    path = INCLUDE / header
    if not path.exists():
        pytest.skip(f"no {path}: linux-libc-dev of x86 is not installed")
    defined = re.findall(r"^#define __NR_(\w+) (\d+)$", path.read_text(), re.MULTILINE)
    theirs = {int(number): name for name, number in defined}
    ours = names(architecture)
    assert len(theirs) > 300
    both = theirs.keys() & ours.keys()
    assert {number: ours[number] for number in both} == {number: theirs[number] for number in both}
    assert all(number > max(ours) for number in theirs.keys() - ours.keys())


def test_names_and_numbers_there_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "x86_64")
    assert name_of(257) == "openat"
    assert name_of(257, compat=True) == "remap_file_pages"
    assert number_of("openat") == 257
    assert number_of("openat", compat=True) == 295
    assert name_of(999) == "syscall_999"
    assert number_of("syscall_999") == 999
    for wrong in ("syscall_", "syscall_x", "syscall_²", "nonesuch", "", "syscall_" + "9" * 99):
        assert number_of(wrong) is None


def test_an_unknown_machine_has_numbers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "")
    assert name_of(1) == "syscall_1"
    assert number_of("read") is None
    assert set(kinds()) == {list(CATEGORIES).index("other")}


def test_kinds_for_the_collector_agree_with_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "aarch64")
    table, order = kinds(), list(CATEGORIES)
    assert len(table) == NUMBERS
    assert order[table[63] & 7] == "file_io"
    assert order[table[98]] == "sync"
    assert order[table[COMPAT + 3] & 7] == "file_io"
    assert order[table[COMPAT - 1]] == order[table[-1]] == "other"
    special = {number: kind & ~7 for number, kind in enumerate(table) if kind & ~7}
    native = {
        93: 0x08, 94: 0x08, 56: 0x30, 437: 0x40, 128: 0x80, 63: 0x50, 65: 0x50, 67: 0x50,
        69: 0x50, 286: 0x50, 64: 0x60, 66: 0x60, 68: 0x60, 70: 0x60, 287: 0x60, 76: 0x70,
        285: 0x70, 71: 0x90, 222: 0xA0, 215: 0xB0, 216: 0xC0, 214: 0xD0, 265: 0xF0,
    }  # fmt: skip
    compat = {
        1: 0x08, 248: 0x08, 5: 0x10, 8: 0x20, 322: 0x30, 437: 0x40, 0: 0x80, 3: 0x50, 145: 0x50,
        180: 0x50, 361: 0x50, 392: 0x50, 4: 0x60, 146: 0x60, 181: 0x60, 362: 0x60, 393: 0x60,
        340: 0x70, 391: 0x70, 187: 0x90, 239: 0x90, 192: 0xA0, 91: 0xB0, 163: 0xC0, 45: 0xD0,
        371: 0xF0,
    }  # fmt: skip
    assert special == {**native, **{number + COMPAT: kind for number, kind in compat.items()}}


@pytest.mark.parametrize(
    "name, category",
    [
        ("openat", "file_io"), ("epoll_pwait", "file_io"), ("mmap2", "memory"),
        ("socketcall", "network"), ("clone3", "process"), ("clock_nanosleep", "time"),
        ("futex_time64", "sync"), ("rt_sigreturn", "signal"), ("bpf", "other"),
        ("syscall_999", "other"),
    ],
)  # fmt: skip
def test_category_is_what_the_call_is_about(name: str, category: str) -> None:
    assert category_of(name) == category
