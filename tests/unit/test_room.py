# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""How much memory is left by limits of either version, in a container and out of it, and how large
the tables then are."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebtop.errors import EbtopError
from ebtop.sources import headroom, room
from ebtop.sources.headroom import Headroom

MIB = 1 << 20
V2 = "30 23 0:26 {base} {mount} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "33 24 0:29 {base} {mount} rw,relatime - cgroup cgroup rw,memory\n"
CPU = "32 24 0:28 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"


def build(
    tmp_path: Path, cgroup: str, mounts: str, groups: dict[str, dict[str, str]], base: str = "/"
) -> str:
    """A /proc beside a tree of cgroups."""
    proc, tree = tmp_path / "proc", tmp_path / "with blank"
    (proc / "self").mkdir(parents=True)
    (proc / "self/cgroup").write_text(cgroup)
    mount = str(tree).replace(" ", "\\040")
    (proc / "self/mountinfo").write_text(CPU + mounts.format(base=base, mount=mount))
    for path, files in groups.items():
        folder = tree / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)
    return str(proc)


def v2(limit: str, used: int, cached: int = 0) -> dict[str, str]:
    stat = f"anon {used}\ninactive_file {cached}\nactive_file 0\n"
    return {"memory.max": f"{limit}\n", "memory.current": f"{used}\n", "memory.stat": stat}


def v1(limit: int, used: int, cached: int = 0) -> dict[str, str]:
    stat = f"cache 5\ninactive_file 0\ntotal_inactive_file {cached}\ntotal_active_file 0\n"
    return {"memory.limit_in_bytes": str(limit), "memory.usage_in_bytes": str(used),
            "memory.stat": stat}  # fmt: skip


def test_limit_of_the_own_cgroup(tmp_path: Path) -> None:
    root = build(tmp_path, "0::/a/b\n", V2, {"a/b": v2(str(64 * MIB), 20 * MIB, 4 * MIB)})
    assert headroom.headroom(root) == Headroom(48 * MIB, "memory cgroup", 64 * MIB)


def test_limit_of_an_ancestor_that_leaves_less(tmp_path: Path) -> None:
    groups = {"a": v2(str(100 * MIB), 90 * MIB), "a/b": v2(str(64 * MIB), 20 * MIB)}
    root = build(tmp_path, "0::/a/b\n", V2, groups)
    assert headroom.headroom(root) == Headroom(10 * MIB, "memory cgroup", 100 * MIB)


def test_no_limit_is_none(tmp_path: Path) -> None:
    root = build(tmp_path, "0::/a\n", V2, {"a": v2("max", 20 * MIB)})
    assert headroom.headroom(root) is None
    root = build(tmp_path / "1", "4:memory:/a\n0::/\n", V1, {"a": v1((1 << 63) - 4096, 9)})
    assert headroom.headroom(root) is None


def test_high_is_a_limit_too(tmp_path: Path) -> None:
    files = {**v2("max", 20 * MIB), "memory.high": str(30 * MIB)}
    root = build(tmp_path, "0::/a\n", V2, {"a": files})
    assert headroom.headroom(root) == Headroom(10 * MIB, "memory cgroup", 30 * MIB)


def test_version_1(tmp_path: Path) -> None:
    groups = {"a/b": v1(64 * MIB, 20 * MIB, 4 * MIB), "a": v1(50 * MIB, 40 * MIB)}
    root = build(tmp_path, "4:memory:/a/b\n3:cpu:/\n0::/\n", V1, groups)
    assert headroom.headroom(root) == Headroom(10 * MIB, "memory cgroup", 50 * MIB)


@pytest.mark.parametrize(
    ("cgroup", "base"),
    [("0::/\n", "/"), ("0::/docker/x\n", "/docker/x"), ("0::/../../x\n", "/"), ("0::/y\n", "/z")],
    ids=["namespace", "bind", "outside", "elsewhere"],
)
def test_in_a_container_what_is_mounted_is_the_limit(
    tmp_path: Path, cgroup: str, base: str
) -> None:
    root = build(tmp_path, cgroup, V2, {".": v2(str(64 * MIB), 20 * MIB)}, base)
    assert headroom.headroom(root) == Headroom(44 * MIB, "memory cgroup", 64 * MIB)


@pytest.mark.parametrize("garbage", ["", "x", "-1", "9" * 40, "max max", "٣"])
def test_garbage_limits_nothing(tmp_path: Path, garbage: str) -> None:
    files = {"memory.max": garbage, "memory.current": "5", "memory.stat": garbage}
    root = build(tmp_path, "0::/a\n" + garbage, V2 + garbage, {"a": files})
    assert headroom.headroom(root) is None


def test_limit_of_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (100 * MIB, 100 * MIB))
    root = build(tmp_path, "", V2, {})
    (tmp_path / "proc/self/statm").write_text(f"{40 * MIB // resource.getpagesize()} 5 1 1 0 9 0\n")
    left = headroom.headroom(root)
    assert left is not None and (left.left, left.limit) == (60 * MIB, 100 * MIB)
    assert "ulimit -v" in left.what


def test_threads_that_there_are_decide_and_pids_that_there_can_be() -> None:
    assert room.wanted(150, 2, 1 << 22).threads == room.USUAL_THREADS
    assert room.wanted(3000, 2, 1 << 22).threads == 32768
    assert room.wanted(90000, 2, 1 << 22).threads == room.MOST_THREADS
    assert room.wanted(150, 128, 1 << 22).threads == 65536, "each CPU has its own"
    assert room.wanted(150, 2, 4096).threads == 4096
    assert room.wanted(150, 2, 1 << 22).connections == room.USUAL_CONNECTIONS


@given(
    left=st.integers(0, 1 << 33), living=st.integers(0, 1 << 17), cpus=st.integers(1, 512),
    pids=st.sampled_from((301, 32768, 1 << 22)),
)  # fmt: skip
def test_what_is_chosen_fits_or_is_refused(left: int, living: int, cpus: int, pids: int) -> None:
    whole = room.wanted(living, cpus, pids)
    limit = Headroom(left, "memory cgroup", left)
    found: Optional[room.Room] = None
    try:
        found = room.fitting(whole, living, cpus, pids, limit)
    except EbtopError as error:
        assert "memory cgroup leaves" in str(error) and left < whole.bytes(cpus, pids)
    if found is not None:
        assert found.bytes(cpus, pids) <= left
        assert (found.about is None) == (found == whole)
        assert found.threads >= min(whole.threads, living)


def test_more_memory_is_never_less_room() -> None:
    whole, sizes = room.wanted(150, 2, 32768), []
    for left in range(20, 90):
        try:
            found = room.fitting(whole, 150, 2, 32768, Headroom(left * MIB, "memory cgroup"))
            sizes.append(found.threads + found.connections)
        except EbtopError:
            sizes.append(0)
    assert sizes == sorted(sizes) and sizes[0] == 0
    assert sizes[-1] == whole.threads + whole.connections
