# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what a system call's number means on this machine: its name, and what it is about.

The names are data (`syscalldata.py`, generated), and so are the categories
(`syscallcategories.py`, judged by hand); both are read at the first question.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

NATIVE_OF = {"x86_64": "x86_64", "i386": "x86_64", "i686": "x86_64", "aarch64": "aarch64",
             "armv8l": "aarch64"}  # fmt: skip
"""uname's machine to architecture; a 32-bit personality does not change what the kernel is."""
COMPAT_OF = {"x86_64": "i386", "aarch64": "arm"}
COMPAT = 512
"""Added to the number of a 32-bit call in the table for the collector: EBTOP_SYSCALL_COMPAT."""
NUMBERS = 1024
"""The length of that table: EBTOP_SYSCALL_NUMBERS."""
OTHER = "other"
MANY = "syscall_?"
"""The name of the row for unknown numbers, when there are too many for a row each."""
NEVER_RETURNS, OPEN, CREAT, OPENAT, OPENAT2 = (0x08, 0x10, 0x20, 0x30, 0x40)
READ, WRITE, COPY, RESTARTS, SEND = (0x50, 0x60, 0x70, 0x80, 0x90)
MMAP, MUNMAP, MREMAP, BRK, MMAP_OLD, OPEN_HANDLE = (0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0)
"""EBTOP_KIND_*: bits beside the category."""
SPECIAL = {
    "exit": NEVER_RETURNS, "exit_group": NEVER_RETURNS, "open": OPEN, "creat": CREAT,
    "openat": OPENAT, "openat2": OPENAT2, "open_by_handle_at": OPEN_HANDLE,
    "restart_syscall": RESTARTS,
    "read": READ, "pread64": READ, "readv": READ, "preadv": READ, "preadv2": READ,
    "write": WRITE, "pwrite64": WRITE, "writev": WRITE, "pwritev": WRITE, "pwritev2": WRITE,
    "copy_file_range": COPY, "splice": COPY, "sendfile": SEND, "sendfile64": SEND,
    "mmap": MMAP, "mmap2": MMAP, "munmap": MUNMAP, "mremap": MREMAP, "brk": BRK,
}  # fmt: skip


FIRST_IS_DESCRIPTOR = """
    read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 close fsync fdatasync
    syncfs sync_file_range sync_file_range2 arm_sync_file_range ftruncate ftruncate64 fallocate
    fstat fstat64 fstatfs fstatfs64 getdents getdents64 readahead fadvise64 fadvise64_64
    arm_fadvise64_64 ioctl flock fcntl fcntl64 lseek _llseek fchmod fchown fchown32 fchdir
    fsetxattr fgetxattr copy_file_range splice tee vmsplice sendfile sendfile64 accept accept4
    connect bind listen shutdown recv recvfrom recvmsg recvmmsg recvmmsg_time64 send sendto sendmsg
    sendmmsg getsockopt setsockopt epoll_wait epoll_pwait epoll_pwait2 epoll_ctl io_uring_enter
"""
FIRST_IS_NAME = """
    open creat stat stat64 lstat lstat64 oldstat oldlstat access chdir chroot rename mkdir rmdir
    link unlink symlink readlink chmod chown chown32 lchown lchown32 truncate truncate64 statfs
    statfs64 mknod utime utimes getxattr lgetxattr setxattr lsetxattr listxattr execve umount
    umount2 swapon swapoff acct symlinkat
"""
SECOND_IS_NAME = """
    openat openat2 newfstatat fstatat64 statx unlinkat mkdirat mknodat renameat renameat2 linkat
    readlinkat faccessat faccessat2 fchmodat fchmodat2 fchownat utimensat utimensat_time64
    execveat name_to_handle_at open_tree mount
"""


def objects() -> bytes:
    """For the collector, a byte a number, as kinds(): enum ebtop_call_object."""
    tables = (FIRST_IS_DESCRIPTOR, FIRST_IS_NAME, SECOND_IS_NAME)
    by_name = {name: index for index, text in enumerate(tables, 1) for name in text.split()}
    table = bytearray(NUMBERS)
    for number, name in numbered():
        table[number] = by_name.get(name, 0)
    return bytes(table)


def name_of(number: int, compat: bool = False) -> str:
    """The name, else `syscall_N`; `compat` for a number of the machine's 32-bit calls."""
    return names(_architecture(compat)).get(number) or f"syscall_{number}"


def name_in(row: Mapping[str, Any]) -> str:
    """Of a row of the table of system calls."""
    return MANY if row["many"] else name_of(row["number"], bool(row["compat"]))


def number_of(name: str, compat: bool = False) -> int | None:
    """The number, also of `syscall_N`; None for a name that there is not here."""
    known = _numbers(_architecture(compat)).get(name)
    if known is not None:
        return known
    prefix, _, digits = name.rpartition("_")
    bare = digits[1:] if digits.startswith("-") else digits
    plain = prefix == "syscall" and bare.isascii() and bare.isdigit() and len(bare) <= 10
    return int(digits) if plain else None


def selected(names: Iterable[str]) -> tuple[int, ...]:
    """Numbers for Filter.calls: 32-bit ones from COMPAT on, and NUMBERS for what no table has."""
    found = set()
    for name in names:
        for compat in (False, True):
            number = number_of(name, compat)
            if number is not None:
                known = 0 <= number < COMPAT
                found.add(number + COMPAT * compat if known else NUMBERS)
    return tuple(sorted(found))


def category_of(name: str) -> str:
    """What the call is about; `other` for a name that is unknown."""
    return _categories().get(name, OTHER)


def kinds() -> bytes:
    """For the collector, a byte a number, 32-bit calls from COMPAT on: category, and EBTOP_KIND_*.

    A number that is unknown here is `other`, and nothing special.
    """
    from ebtop.model.syscallcategories import CATEGORIES

    order = list(CATEGORIES)
    table = bytearray([order.index(OTHER)] * NUMBERS)
    for number, name in numbered():
        special = MMAP_OLD if name == "mmap" and number >= COMPAT else SPECIAL.get(name, 0)
        table[number] = order.index(category_of(name)) | special
    return bytes(table)


def execs() -> list[int]:
    """The numbers of execve and execveat, then those of the 32-bit ones; -1 where there is none."""
    found = [number_of(name, compat) for compat in (False, True) for name in ("execve", "execveat")]
    return [-1 if number is None else number for number in found]


def numbered() -> Iterator[tuple[int, str]]:
    """All calls of this machine, the 32-bit ones from COMPAT on."""
    for compat in (False, True):
        for number, name in names(_architecture(compat)).items():
            if number < COMPAT:
                yield number + COMPAT * compat, name


def load() -> None:
    """Reads the names of this machine now: without privileges their file may be unreadable."""
    for compat in (False, True):
        names(_architecture(compat))


@cache
def names(architecture: str) -> dict[int, str]:
    """Number to name: of x86_64, i386, aarch64 or arm; empty for another."""
    from ebtop.model import syscalldata

    found: dict[int, str] = {}
    number = 0
    for word in getattr(syscalldata, architecture.upper(), "").split():
        if word.isdigit():
            number = int(word)
        else:
            found[number] = word
            number += 1
    return found


@cache
def _numbers(architecture: str) -> dict[str, int]:
    return {name: number for number, name in names(architecture).items()}


@cache
def _categories() -> dict[str, str]:
    from ebtop.model.syscallcategories import CATEGORIES

    return {name: category for category, text in CATEGORIES.items() for name in text.split()}


@cache
def _architecture(compat: bool) -> str:
    native = NATIVE_OF.get(os.uname().machine, "")
    return COMPAT_OF.get(native, "") if compat else native
