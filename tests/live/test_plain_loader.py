# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A build without the fast loader (EBTOP_PLAIN_LOADER=1) runs the same probes, in the same way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from running import TREE

pytestmark = pytest.mark.setting()
"""In no guest: there it would take minutes to compile."""

STATES = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ebtop.sources.bpf import Session
def states(session):
    snapshot = session.refresh()
    return [[probe.name, probe.state, probe.hook, probe.reason] for probe in snapshot.probes]
found = []
with Session(["sched", "life", "tasks", "vfs", "mem"]) as session:
    found.append(states(session))
    for wanted in (["sched", "life", "tasks", "block", "tcp", "open"], ["syscall", "signals"], []):
        session.switch(wanted)
        found.append(states(session))
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with the Python of this one and an extension of its own."""
    folder = tmp_path_factory.mktemp("plain")
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(TREE / "ebtop", folder / "ebtop", ignore=ignored)
    made, library = str(folder / "made"), str(folder / "library")
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_clib", "--build-temp", made,
         "--build-clib", library, "build_ext", "--build-temp", made, "--build-lib", str(folder)],
        cwd=TREE, check=True, capture_output=True,
        env={**os.environ, "EBTOP_FOR_TESTS": "1", "EBTOP_PLAIN_LOADER": "1"},
    )  # fmt: skip
    return folder


def test_both_loaders_run_the_same_probes(plain: Path) -> None:
    found = []
    for tree in (plain, TREE):
        command = [sys.executable, "-I", "-c", STATES, str(tree)]
        done = subprocess.run(command, capture_output=True, timeout=120, check=True)
        found.append(json.loads(done.stdout))
    assert found[0] == found[1]
    running = [{row[0] for row in states if row[1] == "on"} for states in found[0]]
    assert running[0] >= {"sched", "life", "tasks", "vfs", "mem"}
    assert running[1] >= {"block", "tcp", "sockets", "open"} and "mem" not in running[1]


def test_the_plain_build_has_nothing_of_the_fast_loader(plain: Path) -> None:
    extension = next((plain / "ebtop").glob("_core*.so")).read_bytes()
    fast = next((TREE / "ebtop").glob("_core*.so")).read_bytes()
    # the threads in which several probes are loaded at once
    assert b"pthread_attr_setstacksize" in fast
    assert b"pthread_attr_setstacksize" not in extension
