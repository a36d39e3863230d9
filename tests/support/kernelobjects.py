# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what tests ask of BPF objects: which a process holds, and whether they are gone again."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path

BPFTOOL = shutil.which("bpftool", path="/usr/sbin:/sbin:/usr/bin:/bin")
KINDS = {"prog_id": "prog", "map_id": "map", "link_id": "link"}


def held(pid: int) -> set[tuple[str, int]]:
    """Kind and id of every BPF object that a process holds open."""
    found = set()
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            text = entry.read_text()
        except OSError:
            continue
        pairs = re.findall(r"^(prog_id|map_id|link_id):\s*(\d+)", text, re.MULTILINE)
        found |= {(KINDS[key], int(number)) for key, number in pairs}
    return found


def programs(pid: int) -> set[str]:
    """The names of the programs that a process holds open."""
    assert BPFTOOL, "bpftool is not installed"
    loaded = json.loads(subprocess.check_output([BPFTOOL, "-j", "prog", "show"]))
    names = {one["id"]: one.get("name", "") for one in loaded}
    return {names.get(number, "") for kind, number in held(pid) if kind == "prog"}


def in_kernel() -> set[tuple[str, int]]:
    assert BPFTOOL, "bpftool is not installed"
    found = set()
    for kind in KINDS.values():
        objects = json.loads(subprocess.check_output([BPFTOOL, "-j", kind, "show"]))
        found |= {(kind, thing["id"]) for thing in objects}
    return found


def assert_gone_within_a_second(objects: set[tuple[str, int]]) -> None:
    end = time.monotonic() + 1
    while left := objects & in_kernel():
        assert time.monotonic() < end, f"left in the kernel: {sorted(left)}"
        time.sleep(0.05)
