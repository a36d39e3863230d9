# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Names of cgroups: found by inode, containers recognised, nothing invented."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ebtop.cgroups import CgroupPaths, container_of, mount_point

HEX = b"0123456789abcdef" * 4


def test_path_is_found_by_inode_and_a_number_without_folder_has_none(tmp_path: Path) -> None:
    inner = tmp_path / "system.slice" / "a\udcff"
    inner.mkdir(parents=True)
    paths = CgroupPaths(os.fsencode(tmp_path))
    assert paths.get(os.stat(inner).st_ino) == b"/system.slice/a\xff"
    assert paths.get(os.stat(tmp_path).st_ino) == b"/"
    assert paths.get(2**63) is None


def test_without_a_tree_there_is_no_name(tmp_path: Path) -> None:
    assert CgroupPaths(os.fsencode(tmp_path / "gone")).get(1) is None


@pytest.mark.parametrize(
    "path",
    [
        b"/docker/" + HEX,
        b"/system.slice/docker-" + HEX + b".scope",
        b"/kubepods.slice/pod1/cri-containerd-" + HEX + b".scope",
        b"/machine.slice/libpod-" + HEX + b".scope/container",
    ],
)
def test_container_is_recognised(path: bytes) -> None:
    assert container_of(path) == b"0123456789ab"


@pytest.mark.parametrize("path", [b"/", b"/user.slice", b"/docker/" + HEX[:63], b"/x" + HEX + b"1"])
def test_what_is_no_container_is_none(path: bytes) -> None:
    assert container_of(path) is None


def test_mount_point_is_read_from_mounts() -> None:
    mounts = b"proc /proc proc rw 0 0\ncgroup2 /sys/fs/c\\040g cgroup2 rw 0 0\n"
    assert mount_point(mounts) == b"/sys/fs/c g"
    assert mount_point(b"garbage\n") is None
    assert mount_point(None) is None
