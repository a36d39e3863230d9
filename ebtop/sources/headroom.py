# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns how much more memory this process may use, limited by the machine, by its memory cgroup and
the cgroups above it, and by the address space limit.

It reads a dozen small files; an unreadable file imposes no limit. room.py decides how the memory is
used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple, Optional

from ebtop.sources.host import parse_meminfo, read_small

_UNLIMITED = 1 << 60
"""Limits from here on mean "no limit": cgroup v1 writes the largest number."""
_ESCAPED = re.compile(rb"\\([0-7]{3})")


class Headroom(NamedTuple):
    """`left` bytes until `what` is full; `limit` is that of the cgroup, where it is one."""

    left: int
    what: str
    limit: Optional[int] = None


class Group(NamedTuple):
    """The folder of a memory cgroup, and the version of its files."""

    folder: bytes
    version: int


MACHINE, CGROUP, ADDRESSES = "machine", "memory cgroup", "limit of addresses (ulimit -v)"


def headroom(root: str = "/proc") -> Optional[Headroom]:
    """The tightest limit; None if no limit is known."""
    found = [*_machine(root), *(left for group in own_groups(root) for left in _below(group))]
    return min([*found, *_addresses(root)], default=None)


def cgroup_headroom(root: str = "/proc") -> Optional[Headroom]:
    """The same of limits of cgroups alone."""
    return min((left for group in own_groups(root) for left in _below(group)), default=None)


def _machine(root: str) -> Iterator[Headroom]:
    available = parse_meminfo(read_small(f"{root}/meminfo")).get(b"MemAvailable")
    if available is not None:
        yield Headroom(available, MACHINE)


def _addresses(root: str) -> Iterator[Headroom]:
    import resource

    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    pages = number((read_small(f"{root}/self/statm") or b"").split(b" ")[0])
    if soft != resource.RLIM_INFINITY and pages is not None:
        left = max(0, soft - pages * os.sysconf("SC_PAGE_SIZE"))
        yield Headroom(left, ADDRESSES, soft)


# ---- which cgroups ----


def own_groups(root: str = "/proc") -> Iterator[Group]:
    """The memory cgroup of this process and all above it that can be seen from here."""
    memberships = dict(_memberships(read_small(f"{root}/self/cgroup")))
    for mount, base, version in _mounts(read_small(f"{root}/self/mountinfo", 1 << 20)):
        path = memberships.get(version)
        if path is None:
            continue
        inside = _inside(path, base)
        while True:
            yield Group(mount + inside, version)
            if not inside.strip(b"/"):
                break
            inside = inside.rpartition(b"/")[0]


def _memberships(data: Optional[bytes]) -> Iterator[tuple[int, bytes]]:
    """By version; of the second it is the line without controllers."""
    for line in (data or b"").split(b"\n"):
        number, _, rest = line.partition(b":")
        controllers, _, path = rest.partition(b":")
        if number == b"0" and not controllers:
            yield 2, path
        elif b"memory" in controllers.split(b","):
            yield 1, path


def _mounts(data: Optional[bytes]) -> Iterator[tuple[bytes, bytes, int]]:
    """The mount point of the memory cgroups, the mounted part of the hierarchy, and the version."""
    for line in (data or b"").split(b"\n"):
        words, _, rest = line.partition(b" - ")
        fields, kind = words.split(b" "), rest.split(b" ")
        if len(fields) < 5 or len(kind) < 3:
            continue
        place = _plain(fields[4]), _plain(fields[3])
        if kind[0] == b"cgroup2":
            yield (*place, 2)
        elif kind[0] == b"cgroup" and b"memory" in kind[2].split(b","):
            yield (*place, 1)


def _inside(path: bytes, base: bytes) -> bytes:
    """The path from the mounted root to the cgroup. A cgroup outside of it is taken for the mounted
    root, which in a container is the container's own."""
    base = base.rstrip(b"/")
    if b".." in path.split(b"/") or not (path + b"/").startswith(base + b"/"):
        return b""
    return path[len(base) :].rstrip(b"/")


def _plain(word: bytes) -> bytes:
    return _ESCAPED.sub(lambda found: bytes([int(found.group(1), 8) & 255]), word)


def dies_together(root: str = "/proc") -> bool:
    """Whether the kernel kills the whole cgroup at its limit, or nothing: then no process can be
    made the first victim."""
    for group in own_groups(root):
        if group.version == 2 and number(_read(group, "memory.oom.group")):
            return True
        if group.version == 1 and b"oom_kill_disable 1" in (
            _read(group, "memory.oom_control") or b""
        ):
            return True
    return False


# ---- what each leaves ----

_FILES = {
    1: (("memory.limit_in_bytes",), "memory.usage_in_bytes", b"total_"),
    2: (("memory.max", "memory.high"), "memory.current", b""),
}


def _below(group: Group) -> Iterator[Headroom]:
    limits, usage, prefix = _FILES[group.version]
    used = number(_read(group, usage))
    if used is None:
        return
    cached: Optional[int] = None
    for name in limits:
        limit = number(_read(group, name))
        if limit is None or limit >= _UNLIMITED:
            continue
        if cached is None:
            cached = _reclaimable(_read(group, "memory.stat"), prefix)
        yield Headroom(max(0, limit - max(0, used - cached)), CGROUP, limit)


def _reclaimable(stat: Optional[bytes], prefix: bytes) -> int:
    """Clean page cache, which the kernel reclaims under pressure."""
    names = (prefix + b"inactive_file", prefix + b"active_file")
    lines = (line.split(b" ") for line in (stat or b"").split(b"\n"))
    return sum(number(words[1]) or 0 for words in lines if len(words) == 2 and words[0] in names)


def _read(group: Group, name: str) -> Optional[bytes]:
    return read_small(os.path.join(group.folder, os.fsencode(name)))


def number(data: Optional[bytes]) -> Optional[int]:
    """A plain decimal number; None also for `max`."""
    word = (data or b"").strip()
    return int(word) if word.isdigit() and len(word) <= 19 else None
