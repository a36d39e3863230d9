# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What a kernel sets limits to: locked memory, BPF of the unprivileged, programs on one hook."""

from __future__ import annotations

import resource
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from observe import start, until_done
from proof import JSON, MEMLOCK_COUNTS, proves_exact
from running import NOBODY, all_on, command, doctor, ebtop, said, sample, why_not_as_nobody

from ebtop.model.layout import EXITED
from ebtop.sources.bpf import Session

pytestmark = pytest.mark.setting("plain")

UNPRIVILEGED = Path("/proc/sys/kernel/unprivileged_bpf_disabled")
LIMIT = ("prlimit", "--memlock=65536:65536")
WITHOUT = ("setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource")
PERF_TRACEPOINT_MAX, TRAMPOLINE_MAX = 64, 40  # BPF_TRACE_MAX_PROGS, BPF_MAX_TRAMP_LINKS


def run(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(words, capture_output=True, timeout=60, check=False)


def test_64_kib_of_locked_memory_are_raised_with_sys_resource() -> None:
    found = sample(done := run(*LIMIT, *command(*JSON)))
    assert found["source"] == "bpf" and not done.stderr
    assert all_on(found)


def test_64_kib_of_locked_memory_are_named_where_they_count() -> None:
    found = sample(done := run(*LIMIT, *WITHOUT, *command(*JSON)))
    probes = doctor(run(*LIMIT, *WITHOUT, *command("doctor", "--json")))
    report = run(*LIMIT, *WITHOUT, *command("doctor")).stdout.decode()
    assert "locked memory limit               65536 bytes" in report
    if not MEMLOCK_COUNTS:
        assert found["source"] == "bpf" and not done.stderr
        assert {probe["state"] for probe in probes.values()} == {"on"}
        return
    assert found["source"] == "proc" and "ulimit -l" in said(done)
    for probe in probes.values():
        assert probe["state"] == "denied" and "(ulimit -l)" in probe["reason"]
        assert "CAP_SYS_RESOURCE" in probe["help"]


def test_hook_of_ebtop_has_no_limit_of_programs_that_could_be_met(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Perf tracepoints and trampolines refuse one more with E2BIG; BTF tracepoints do not."""
    monkeypatch.setenv("EBTOP_THREADS_MAX", "64")
    many = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (many, many))
    with ExitStack() as stack:
        sessions = [stack.enter_context(Session(["life"])) for _ in range(PERF_TRACEPOINT_MAX + 1)]
        assert len(sessions) > TRAMPOLINE_MAX
        for session in sessions:
            session.refresh()
        process = start("forks", "11")
        until_done(process)
        for snapshot in (session.refresh() for session in sessions):
            assert {probe.state for probe in snapshot.probes if probe.name == "life"} == {"on"}
            rows = [row for row in snapshot.processes.rows() if row["ppid"] == process.pid]
            assert len(rows) == 11 and all(row["flags"] & EXITED for row in rows)
        process.kill()
        process.wait()


def test_unprivileged_bpf_changes_nothing_for_root_and_gives_nobody_too_little() -> None:
    """In this order: 1 is for good, until the machine boots again."""
    assert not why_not_as_nobody()
    for setting in ("2", "0", "1"):
        UNPRIVILEGED.write_text(setting)
        with Session() as session:
            proves_exact(session)
        done = ebtop(*JSON, **NOBODY)
        assert sample(done)["source"] == "proc"
        assert "not root (" in said(done) and "sudo" in said(done)
        for probe in doctor(ebtop("doctor", "--json", **NOBODY)).values():
            assert probe["state"] == "denied" and "run as root" in probe["help"]
        report = ebtop("doctor", **NOBODY).stdout.decode()
        assert f"kernel.unprivileged_bpf_disabled  {setting}\n" in report
