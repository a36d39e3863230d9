# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the names of cgroups: from the number that the kernel gives to a path, and to a container.

A cgroup's number is the inode of its folder in the cgroup2 file system. The tree is walked when a
number is met that it did not have, at most once in a while; it asks nothing of the processes.
"""

from __future__ import annotations

import os
import re
import time
from typing import Optional

from ebtop.host import read_small

_WALK_EVERY_S = 2.0
_MOST_CGROUPS = 65536
# docker, podman, containerd, cri-o: the last part of the path ends in 64 hexadecimal digits
_CONTAINER = re.compile(rb"(?:^|[/:-])([0-9a-f]{64})(?:\.scope)?(?:/|$)")


def mount_point(mounts: Optional[bytes]) -> Optional[bytes]:
    """Where the cgroup2 file system is mounted, by /proc/self/mounts; None when it is not."""
    for line in (mounts or b"").splitlines():
        words = line.split(b" ")
        if len(words) > 2 and words[2] == b"cgroup2":
            # the kernel writes blanks and backslashes as octal
            return re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m.group(1), 8) & 255]), words[1])
    return None


def container_of(path: bytes) -> Optional[bytes]:
    """The container's id in a cgroup's path, shortened to 12 digits as its tools do."""
    found = _CONTAINER.search(path)
    return found.group(1)[:12] if found else None


class CgroupPaths:
    """Paths below the mount point, beginning with "/", by cgroup number; kept between calls."""

    def __init__(self, root: Optional[bytes] = None) -> None:
        self._root = mount_point(read_small("/proc/self/mounts")) if root is None else root
        self._paths: dict[int, bytes] = {}
        self._walked_s: Optional[float] = None

    @property
    def root(self) -> Optional[bytes]:
        """Where the paths begin; None without cgroup2."""
        return self._root

    def get(self, number: int) -> Optional[bytes]:
        """The path, or None where there is none to be found."""
        path = self._paths.get(number)
        if path is None and self._root is not None and self._may_walk():
            self._walk(self._root)
            path = self._paths.get(number)
        return path

    def _may_walk(self) -> bool:
        now = time.monotonic()
        if self._walked_s is not None and now - self._walked_s < _WALK_EVERY_S:
            return False
        self._walked_s = now
        return True

    def _walk(self, root: bytes) -> None:
        """All folders; one that vanishes meanwhile is skipped. Old names of dead ones stay."""
        folders = [root]
        if len(self._paths) >= _MOST_CGROUPS:
            self._paths.clear()
        while folders and len(self._paths) < _MOST_CGROUPS:
            folder = folders.pop()
            try:
                self._paths[os.stat(folder).st_ino] = folder[len(root) :] or b"/"
                with os.scandir(folder) as entries:
                    folders += [e.path for e in entries if e.is_dir(follow_symlinks=False)]
            except OSError:
                continue
