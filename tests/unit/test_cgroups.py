# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Names of cgroups: found by inode, containers recognised, nothing invented."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ebtop.model.layout import HIERARCHIES, HIERARCHY_SHIFT
from ebtop.sources.cgroups import CgroupPaths, container_of, mount_point

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


POD = b"pod2b1c4a5e_0d0b_4a3c_9d4f_0a1b2c3d4e5f"
INNER = b"fedcba9876543210" * 4


@pytest.mark.parametrize(
    "path",
    [
        # docker: cgroupfs and systemd driver, rootless, systemd inside
        b"/docker/" + HEX,
        b"/system.slice/docker-" + HEX + b".scope",
        b"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + HEX + b".scope",
        b"/docker/" + HEX + b"/system.slice/nginx.service",
        # podman: root and rootless, in a pod, cgroupfs
        b"/machine.slice/libpod-" + HEX + b".scope/container",
        b"/machine.slice/machine-libpod_pod_" + INNER + b".slice/libpod-" + HEX + b".scope",
        b"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + HEX + b".scope",
        b"/libpod_parent/libpod-" + HEX,
        # containerd and cri-o under kubernetes, cgroup v1 and v2, both drivers; nerdctl
        b"/kubepods/besteffort/pod2b1c4a5e-0d0b/" + HEX,
        b"/kubepods.slice/kubepods-" + POD + b".slice/cri-containerd-" + HEX + b".scope",
        b"/system.slice/containerd.service/kubepods-" + POD + b".slice:cri-containerd:" + HEX,
        b"/kubepods.slice/kubepods-" + POD + b".slice/crio-" + HEX + b".scope/container",
        b"/kubepods/burstable/pod1/crio-" + HEX,
        b"/default/" + HEX,
        b"/system.slice/nerdctl-" + HEX + b".scope",
        # one in another: the innermost
        b"/docker/" + INNER + b"/docker/" + HEX,
        b"/lxc.payload.c1/system.slice/docker-" + HEX + b".scope",
        # a monitor inside a container is in that one
        b"/docker/" + HEX + b"/libpod_parent/libpod-conmon-" + INNER,
    ],
)
def test_container_is_recognised(path: bytes) -> None:
    assert container_of(path) == b"0123456789ab"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"/lxc/web", b"web"),
        (b"/lxc/web/system.slice/ssh.service", b"web"),
        (b"/lxc.payload.web/init.scope", b"web"),
        (b"/lxc.payload.user-1000_web", b"user-1000_web"),
        (b"/machine.slice/systemd-nspawn@web.service/payload/init.scope", b"web"),
        (b"/machine.slice/systemd-nspawn@web.service", b"web"),
        (b"/machine.slice/machine-web\\x2d2.scope/payload", b"web-2"),
    ],
)
def test_containers_with_names_have_those(path: bytes, name: bytes) -> None:
    assert container_of(path) == name


@pytest.mark.parametrize(
    "path",
    [
        b"/", b"/user.slice", b"/docker/" + HEX[:63], b"/x" + HEX + b"1", b"/docker", b"/lxc",
        b"/machine.slice/libpod-conmon-" + HEX + b".scope",
        b"/user.slice/user-1000.slice/user@1000.service/libpod-conmon-" + HEX + b".scope",
        b"/kubepods.slice/kubepods-" + POD + b".slice/crio-conmon-" + HEX + b".scope",
        b"/libpod_parent/conmon",
        b"/kubepods.slice/kubepods-" + POD + b".slice",
        b"/machine.slice/machine-libpod_pod_" + HEX + b".slice",
        b"/lxc.monitor.web", b"/lxc.payload.", b"/lxc.pivot",
        b"/machine.slice/systemd-nspawn@web.service/supervisor",
        b"/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt/emulator",
        b"/machine.slice/machine-web.scope/supervisor",
        b"/system.slice/containerd.service",
    ],
)  # fmt: skip
def test_what_is_no_container_is_none(path: bytes) -> None:
    assert container_of(path) is None


def hybrid(tmp_path: Path) -> CgroupPaths:
    """A machine of which only the controllers of processes and of memory are in use, apart."""
    mounts = b""
    for name, kind in (("unified", "cgroup2"), ("pids", "cgroup"), ("memory", "cgroup")):
        folder = tmp_path / name
        folder.mkdir()
        mounts += b"%s %s %s rw,relatime,%s 0 0\n" % (
            kind.encode(), os.fsencode(folder), kind.encode(), name.encode(),
        )  # fmt: skip
    return CgroupPaths(mounts=mounts)


def number(folder: Path, hierarchy: str = "unified") -> int:
    folder.mkdir(parents=True, exist_ok=True)
    return os.stat(folder).st_ino | HIERARCHIES.index(hierarchy) << HIERARCHY_SHIFT


def test_on_a_hybrid_machine_the_container_is_found_where_it_is(tmp_path: Path) -> None:
    paths = hybrid(tmp_path)
    service = number(tmp_path / "unified/system.slice/containerd.service")
    docker = number(tmp_path / "pids/docker" / HEX.decode(), "pids")
    podman = number(tmp_path / f"unified/user.slice/libpod-{HEX.decode()}.scope")
    session = number(tmp_path / "pids/user.slice", "pids")
    place = paths.of({"cgroup_id": service, "controller_cgroup_id": docker})
    assert place == (b"/docker/" + HEX, HEX[:12])
    place = paths.of({"cgroup_id": podman, "controller_cgroup_id": session})
    assert place == (b"/user.slice/libpod-" + HEX + b".scope", HEX[:12])


def test_with_cgroup_v1_alone_there_is_a_path(tmp_path: Path) -> None:
    paths = hybrid(tmp_path)
    root = number(tmp_path / "unified")
    job = number(tmp_path / "memory/batch/job 7", "memory")
    assert paths.of({"cgroup_id": root, "controller_cgroup_id": job}) == (b"/batch/job 7", None)
    assert paths.of({"cgroup_id": root, "controller_cgroup_id": 0}) == (b"/", None)
    folder = os.fsencode(tmp_path / "memory")
    only = CgroupPaths(mounts=b"cgroup %s cgroup rw,cpu,memory 0 0\n" % folder)
    assert only.of({"cgroup_id": 1, "controller_cgroup_id": job}) == (b"/batch/job 7", None)
    assert only.of({"cgroup_id": 1, "controller_cgroup_id": 0}) == (None, None)


def test_mount_point_is_read_from_mounts() -> None:
    mounts = b"proc /proc proc rw 0 0\ncgroup2 /sys/fs/c\\040g cgroup2 rw 0 0\n"
    assert mount_point(mounts) == b"/sys/fs/c g"
    assert mount_point(b"garbage\n") is None
    v1 = b"cgroup /c/cpu cgroup rw,cpu,cpuacct 0 0\ncgroup /c/m cgroup rw,memory 0 0\n"
    assert (mount_point(v1, "cpu"), mount_point(v1, "memory")) == (b"/c/cpu", b"/c/m")
    assert mount_point(v1, "pids") is None and mount_point(v1) is None
    assert mount_point(None) is None
