# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A process's cgroup and container are found in every hierarchy: cgroup2, and those that
controllers have of their own with cgroup v1 and on hybrid machines.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running import ebtop, sample

from ebtop.sources.cgroups import mount_point

HEX = "0123456789abcdef" * 4


@contextlib.contextmanager
def mounted(folder: Path, controller: str) -> Iterator[Path]:
    """The hierarchy, where it is or where the test mounts it; it goes with the test."""
    at = mount_point(Path("/proc/self/mounts").read_bytes(), controller)
    if at is not None:
        yield Path(at.decode())
        return
    kind = ["-t", "cgroup", "-o", controller] if controller else ["-t", "cgroup2"]
    subprocess.run(["mount", *kind, "ebtop-test", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@contextlib.contextmanager
def sleeper(*cgroups: Path) -> Iterator[int]:
    """A process that sleeps in these."""
    process = subprocess.Popen(["/bin/sleep", "600"])
    try:
        for cgroup in cgroups:
            cgroup.mkdir(parents=True)
            (cgroup / "cgroup.procs").write_text(str(process.pid))
        yield process.pid
    finally:
        process.kill()
        process.wait()
        for cgroup in cgroups:
            for folder in (cgroup, cgroup.parent):
                for _ in range(100):  # the kernel lets go of it a moment later
                    with contextlib.suppress(OSError):
                        folder.rmdir()
                    if not folder.exists():
                        break
                    time.sleep(0.02)


def row_of(pid: int) -> dict[str, Any]:
    found = sample(ebtop("--json", "-n", "1", "-d", "0.3", "-p", str(pid)))
    return next(row for row in found["processes"] if row["pid"] == pid)


@pytest.mark.parametrize("controller", ["", "pids", "memory"])
def test_path_and_container_come_from_any_hierarchy(tmp_path: Path, controller: str) -> None:
    with mounted(tmp_path, controller) as root, sleeper(root / "ebtop-test" / HEX) as pid:
        row = row_of(pid)
        truth = Path(f"/proc/{pid}/cgroup").read_text()
    assert f":/ebtop-test/{HEX}\n" in truth
    assert (row["cgroup"], row["container"]) == (f"/ebtop-test/{HEX}", HEX[:12])


def test_on_a_hybrid_machine_the_hierarchy_with_the_container_counts(tmp_path: Path) -> None:
    first, second = tmp_path / "unified", tmp_path / "pids"
    first.mkdir(), second.mkdir()
    with mounted(first, "") as unified, mounted(second, "pids") as pids:
        service = unified / "ebtop-test" / "x.service"
        docker = pids / "ebtop-test" / f"docker-{HEX}.scope"
        monitor = unified / "ebtop-test" / f"libpod-conmon-{HEX}.scope"
        with sleeper(service, docker) as pid:
            inside = row_of(pid)
        with sleeper(monitor) as pid:
            outside = row_of(pid)
    assert inside["container"] == HEX[:12] and inside["cgroup"].startswith("/ebtop-test/docker-")
    assert outside["container"] is None and "conmon" in outside["cgroup"]
