# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the names of cgroups: from the number that the kernel gives to a path, and to a container.

A cgroup's number is the inode of its folder. With cgroup v1, and on hybrid machines, each
controller has its own hierarchy with its own numbers; a row then has two. An unknown number causes
a walk of the hierarchy, but not more often than a fixed interval. Processes are never asked.
"""

from __future__ import annotations

import os
import re
import time
from typing import Any, NamedTuple, Optional

from ebtop.model.layout import HIERARCHIES, HIERARCHY_SHIFT
from ebtop.sources.host import read_small

_WALK_EVERY_S = 2.0
_MOST_CGROUPS = 65536
# docker, podman, containerd and cri-o, in kubernetes too: 64 hexadecimal digits end the name
_BY_ID = re.compile(rb"(?:(.*)[:-])?([0-9a-f]{64})(?:\.scope)?", re.DOTALL)
_NSPAWN = re.compile(rb"systemd-nspawn@(.+)\.service|machine-(.+)\.scope", re.DOTALL)
_UNIFIED = "unified"


def mount_point(mounts: Optional[bytes], controller: str = "") -> Optional[bytes]:
    """Where the cgroup2 file system is mounted, or the hierarchy of a controller, by
    /proc/self/mounts; None when it is not."""
    for line in (mounts or b"").splitlines():
        words = line.split(b" ")
        if len(words) < 4 or words[2] != (b"cgroup" if controller else b"cgroup2"):
            continue
        if not controller or controller.encode() in words[3].split(b","):
            # the kernel writes blanks and backslashes as octal
            return re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m.group(1), 8) & 255]), words[1])
    return None


def container_of(path: bytes) -> Optional[bytes]:
    """The container that a cgroup's path leads to, the innermost: its id, shortened to 12 digits as
    its tools do, or its name where it has no other. What watches over one is not in it."""
    parts = path.split(b"/")
    for at in range(len(parts) - 1, 0, -1):
        found = _by_id(parts[at]) or _by_name(parts, at)
        if found is not None:
            return found
    return None


def _by_id(part: bytes) -> Optional[bytes]:
    found = _BY_ID.fullmatch(part)
    if found is None or (found.group(1) or b"").endswith(b"conmon"):
        return None
    return found.group(2)[:12]


def _by_name(parts: list[bytes], at: int) -> Optional[bytes]:
    """LXC and LXD, by their payload; systemd-nspawn, by its unit. A virtual machine is none."""
    part = parts[at]
    if part.startswith(b"lxc.payload."):
        return part[len(b"lxc.payload.") :] or None
    if at == 2 and parts[1] == b"lxc":
        return part or None
    found = _NSPAWN.fullmatch(part)
    if found is None or parts[at + 1 : at + 2] == [b"supervisor"]:
        return None
    name = re.sub(
        rb"\\x([0-9a-f]{2})",
        lambda m: bytes([int(m.group(1), 16)]),
        found.group(1) or found.group(2),
    )
    return None if name.startswith(b"qemu-") else name


class Place(NamedTuple):
    """The cgroup and the container of a process; None where unknown, or where it is in no
    container."""

    path: Optional[bytes]
    container: Optional[bytes]


class CgroupPaths:
    """Paths below the mount point, beginning with "/", by cgroup number; kept between calls."""

    def __init__(self, root: Optional[bytes] = None, mounts: Optional[bytes] = None) -> None:
        if mounts is None and root is None:
            mounts = read_small("/proc/self/mounts", 1 << 20)
        self._roots = {
            name: mount_point(mounts, "" if name == _UNIFIED else name) for name in HIERARCHIES
        }
        if root is not None:
            self._roots[_UNIFIED] = root
        self._paths: dict[int, bytes] = {}
        self._walked_s: dict[str, float] = {}

    @property
    def root(self) -> Optional[bytes]:
        """Where the paths of cgroup2 begin; None without it."""
        return self._roots[_UNIFIED]

    def get(self, number: int) -> Optional[bytes]:
        """The path, or None where there is none to be found."""
        name = HIERARCHIES[number >> HIERARCHY_SHIFT]
        path, root = self._paths.get(number), self._roots[name]
        if path is None and root is not None and self._may_walk(name):
            self._walk(root, number >> HIERARCHY_SHIFT << HIERARCHY_SHIFT)
            path = self._paths.get(number)
        return path

    def of(self, row: dict[str, Any]) -> Place:
        """The path that says most: the one with the container, else that of cgroup2 unless it is
        the root."""
        numbers = [number for number in (row["cgroup_id"], row["controller_cgroup_id"]) if number]
        paths = [path for path in map(self.get, numbers) if path is not None]
        for path in paths:
            container = container_of(path)
            if container is not None:
                return Place(path, container)
        said = [path for path in paths if path != b"/"] or paths
        return Place(said[0] if said else None, None)

    def _may_walk(self, name: str) -> bool:
        now = time.monotonic()
        if now - self._walked_s.get(name, -_WALK_EVERY_S) < _WALK_EVERY_S:
            return False
        self._walked_s[name] = now
        return True

    def _walk(self, root: bytes, mark: int) -> None:
        """All folders; one that vanishes meanwhile is skipped. Old names of dead ones stay."""
        folders = [root]
        if len(self._paths) >= _MOST_CGROUPS:
            self._paths.clear()
        while folders and len(self._paths) < _MOST_CGROUPS:
            folder = folders.pop()
            try:
                self._paths[os.stat(folder).st_ino | mark] = folder[len(root) :] or b"/"
                with os.scandir(folder) as entries:
                    folders += [e.path for e in entries if e.is_dir(follow_symlinks=False)]
            except OSError:
                continue
