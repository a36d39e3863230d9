# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""When memory runs out: the killed are shown with their signal and ebtop goes on; and what becomes
of ebtop itself where it may have too little."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from observe import opened, row_of, start, value, watch, workload
from proof import JSON, MEMLOCK_COUNTS, little_memory, proves_exact, sampling
from running import all_on, command, doctor, said, sample

from ebtop.model.snapshot import Snapshot
from ebtop.sources.bpf import Session

PAGES = "60000"  # 234 MiB


def hog(before: tuple[str, ...] = (), pages: str = PAGES) -> subprocess.Popen[bytes]:
    command = [*before, workload("act"), "pages", pages]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)


@pytest.mark.setting("plain")
def test_killed_in_a_full_cgroup_is_shown_with_its_signal() -> None:
    with little_memory(32) as group, sampling("-d", "0.3") as samples:
        samples.next()
        process = hog(group)
        process.communicate(b"\n", timeout=60)
        assert process.returncode == -signal.SIGKILL
        row = samples.until_row(process.pid, ended=True)
        assert row["exit_code"] == 128 + signal.SIGKILL
        assert 16 << 20 < row["minor_faults"] * 4096 <= 33 << 20
        assert samples.next()["source"] == "bpf"


@pytest.mark.setting("small")
def test_oom_killer_takes_the_hog_and_ebtop_goes_on() -> None:
    with opened() as session:
        process = hog(pages=str(all_pages()))
        Path(f"/proc/{process.pid}/oom_score_adj").write_text("1000")
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.close()
        snapshots = []
        while process.poll() is None:
            watch(session, 0.5, lambda: process.poll() is not None)
            snapshots.append(session.refresh())
        assert process.returncode == -signal.SIGKILL
        snapshots.append(session.refresh())
        ended = [s for s in snapshots if _is_gone(s, process.pid)]
        assert len(ended) == 1
        assert value(row_of(ended[0], process.pid, gone=True), "exit_code") == signal.SIGKILL
        assert not any(ended[0].self_cost.lost_total.values())
        proves_exact(session)


def all_pages() -> int:
    """As many as the machine has, less than what mapping them at once would be refused for."""
    return os.sysconf("SC_PHYS_PAGES") * 97 // 100


def _is_gone(snapshot: Snapshot, pid: int) -> bool:
    try:
        row_of(snapshot, pid, gone=True)
    except AssertionError:
        return False
    return True


@pytest.mark.setting("small")
def test_small_machine_has_room_for_it() -> None:
    with Session() as session:
        proves_exact(session)


@pytest.mark.setting("plain")
def test_cgroup_without_room_for_the_maps_leaves_proc_and_says_so() -> None:
    """400,000 slots are 49 MiB in one piece, which leaves Python its own share."""
    settings = {"env": {**os.environ, "EBTOP_THREADS_MAX": "400000"}, "timeout": 60}
    with little_memory(40) as group:
        done = subprocess.run([*group, *command(*JSON)], capture_output=True, **settings)
        report = [*group, *command("doctor", "--json")]
        probes = doctor(subprocess.run(report, capture_output=True, **settings))
    found = sample(done)
    if MEMLOCK_COUNTS:
        assert found["source"] == "bpf" and all_on(found)
        return
    assert found["source"] == "proc"
    assert "no memory for map slots: the machine or its memory cgroup is too small" in said(done)
    for probe in probes.values():
        assert probe["state"] == "failed" and "memory.max" in probe["help"]


@pytest.mark.setting("plain")
def test_cgroup_without_room_for_python_ends_it_and_leaves_nothing() -> None:
    spectator = start("wait", "0")
    with little_memory(6) as group:
        done = subprocess.run(
            [*group, *command(*JSON)], capture_output=True, timeout=60, check=False
        )
    assert done.returncode == -signal.SIGKILL
    assert b"Traceback" not in done.stderr and done.stdout == b""
    assert spectator.poll() is None
    spectator.kill()
    spectator.wait()
