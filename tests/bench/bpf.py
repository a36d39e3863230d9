# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the bench's view of BPF from outside: loaded programs and maps as bpftool lists them.

Whose they are is told by what was there before; others may use BPF on the machine too.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

PATH = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin"
_STATS = Path("/proc/sys/kernel/bpf_stats_enabled")
PEERS = ("cpudist", "runqlat")


def _listed(kind: str) -> dict[int, dict[str, Any]]:
    tool = shutil.which("bpftool", path=PATH) or "bpftool"
    said = subprocess.run([tool, "-j", kind, "show"], capture_output=True, check=True).stdout
    return {entry["id"]: entry for entry in json.loads(said)}


def programs() -> dict[int, dict[str, Any]]:
    return _listed("prog")


def maps() -> dict[int, dict[str, Any]]:
    return _listed("map")


def run_ns(ids: Iterable[int]) -> int:
    """What these programs have taken so far, as far as the kernel's statistics were on."""
    wanted = set(ids)
    if not wanted:
        return 0
    return sum(p.get("run_time_ns", 0) for i, p in programs().items() if i in wanted)


@contextlib.contextmanager
def statistics() -> Iterator[None]:
    """The kernel's BPF statistics, on."""
    before = _STATS.read_text()
    _STATS.write_text("1")
    try:
        yield
    finally:
        _STATS.write_text(before)


@contextlib.contextmanager
def peer(command: list[str]) -> Iterator[set[int]]:
    """A tool of libbpf-tools, running; the ids of its programs."""
    before = set(programs())
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet, env={"PATH": PATH})
    try:
        yield _new_programs(before)
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def peers() -> Iterator[dict[str, set[int]]]:
    """cpudist and runqlat of libbpf-tools, running; the ids of the programs of each."""
    with contextlib.ExitStack() as stack:
        found: dict[str, set[int]] = {}
        for name in PEERS:
            tool = shutil.which(name, path=PATH) or shutil.which(f"bpf-{name}", path=PATH)
            if not tool:
                raise SystemExit(f"there is no {name}: apt-get install libbpf-tools")
            found[name] = stack.enter_context(peer([tool, "3600", "1"]))
        yield found


def with_tracefs(command: list[str]) -> list[str]:
    """The same command where it sees tracefs, which stays hidden from all others."""
    mount = "mount -t tracefs none /sys/kernel/tracing"
    return ["unshare", "-m", "sh", "-c", f"{mount}; exec {shlex.join(command)}"]


def _new_programs(before: set[int]) -> set[int]:
    """Those loaded since, once no more are coming."""
    last: set[int] = set()
    for _ in range(50):
        time.sleep(0.2)
        now = set(programs()) - before
        if now and now == last:
            return now
        last = now
    raise SystemExit("a peer loaded no BPF program")
