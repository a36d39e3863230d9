# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The source distribution: whole, and installable with a C compiler alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OF_TESTS = (b"EBTOP_FAIL", b"EBTOP_THREADS_MAX", b"EBTOP_CONNECTIONS_MAX")
"""Switches that only a build for tests looks at."""
COMPILER_TOOLS = ("cc", "gcc", "x86_64-linux-gnu-gcc", "aarch64-linux-gnu-gcc", "as", "ld", "ar",
                  "x86_64-linux-gnu-ar", "gcc-ar", "x86_64-linux-gnu-gcc-ar",
                  "aarch64-linux-gnu-gcc-ar", "ranlib", "strip")  # fmt: skip


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "setup.py", "-q", "sdist", "--dist-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("ebtop-*.tar.gz"))


def test_sdist_carries_libbpf_and_skeletons_and_no_objects(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    for wanted in (
        "bpf/abi.h",
        "csrc/skel/sched.skel.h",
        "csrc/skel/life.skel.h",
        "csrc/skel/tasks.skel.h",
        "vendor/libbpf/PIN",
        "vendor/libbpf/tree/bpf/libbpf.c",
        "vendor/libbpf/tree/LICENSE.BSD-2-Clause",
        "ebtop/launcher.sh",
        "LICENSES/MIT.txt",
    ):
        assert wanted in names
    assert not [name for name in names if name.endswith((".o", ".so", ".pyc"))]


def test_every_switch_of_tests_is_known_here() -> None:
    """Whatever else C reads of the environment would be read by released root processes too."""
    text = "".join(path.read_text() for path in (ROOT / "csrc").rglob("*.[ch]"))
    text = re.sub(r"#define for_tests\(variable\) getenv\(variable\)", "", text)
    assert "getenv" not in text
    names = re.findall(r"for_tests\(\"(\w+)\"\)", text)
    assert sorted(name.encode() for name in names) == sorted(OF_TESTS)


def test_install_from_sdist_needs_no_bpf_tools(sdist: Path, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in COMPILER_TOOLS:
        path = shutil.which(tool)
        if path:
            (tools / tool).symlink_to(path)
    # nothing but a C compiler: neither clang nor bpftool, and no apt to fetch anything
    environment = {**os.environ, "PATH": str(tools), "LIBBPF_TARBALL": "/nonexistent"}
    environment.pop("EBTOP_FOR_TESTS", None)
    target = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps",
         "--target", str(target), str(sdist)],
        check=True, env=environment, cwd=tmp_path,
    )  # fmt: skip
    extension = next((target / "ebtop").glob("_core*.so"))
    assert extension.name == "_core.abi3.so"
    # what tests switch is not in it, and is in what `make build` makes
    assert not [name for name in OF_TESTS if name in extension.read_bytes()]
    built = next((ROOT / "ebtop").glob("_core*.so")).read_bytes()
    assert all(name in built for name in OF_TESTS)
    script = target / "bin" / "ebtop"
    assert script.read_text("ascii").startswith("#!/bin/sh")
    done = subprocess.run(
        [sys.executable, "-c", "import ebtop, ebtop.sources.bpf; print(ebtop.__file__)"],
        env={**os.environ, "PYTHONPATH": str(target)}, cwd=tmp_path,
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.startswith(str(target))
