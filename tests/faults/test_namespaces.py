# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""In a pid namespace and in something like a container: it says what it sees, and whose pids."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from observe import is_paused, start, workload
from proof import JSON, process_of, sampling
from running import command, doctor, said, sample

from ebtop.control.choose import PID_NAMESPACE

pytestmark = pytest.mark.setting("plain")

PID = ("unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc")
MASKS = """
    for folder in /sys/fs/bpf /sys/kernel/security /sys/firmware /proc/scsi /proc/acpi; do
        [ ! -d $folder ] || mount -t tmpfs none $folder || exit 1
    done
    for file in /proc/kcore /proc/keys /proc/timer_list; do
        [ ! -e $file ] || mount --bind /dev/null $file || exit 1
    done
    mount --bind /proc/sys /proc/sys && mount -o bind,remount,ro /proc/sys && exec "$@"
"""
CONTAINER = (
    *PID, "--uts", "--ipc", "--net", "sh", "-c", MASKS, "sh", "setpriv", "--inh-caps=-all",
    "--bounding-set=-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,"
    "+net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap",
)  # fmt: skip
"""As container engines start theirs: namespaces, masked files, a short list of capabilities."""
WITHIN = '(until [ -e $0 ]; do sleep 0.1; done; $1 sleeps 211 >$0; :) & shift; exec "$@"'
"""What is counted is born when that is watched: what waits for its time has switched before."""


def run(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(words, capture_output=True, timeout=60, check=False)


def test_in_a_pid_namespace_it_sees_what_runs_outside_under_the_machines_pids() -> None:
    outside = start("spin", "20000")
    try:
        with sampling("-d", "0.5", "-n", "3", before=PID) as samples:
            samples.next()
            found = samples.next()
            row = process_of(found, outside.pid)
            assert row is not None and row["comm"] == "act"
            assert 0 < row["oncpu_ns"] <= found["interval_s"] * 1e9 * 1.01
            lived = row["oncpu_ns"] + row["offcpu_ns"] + row["runq_wait_ns"]
            assert lived == pytest.approx(found["interval_s"] * 1e9, rel=0.02)
            # its /proc has other pids: what cannot be looked up there is unknown, not another's
            assert row["cmdline"] is None and row["rss_bytes"] is None
    finally:
        outside.kill()
        outside.wait()


def test_in_a_pid_namespace_it_says_so() -> None:
    done = run(*PID, *command(*JSON))
    found = sample(done)
    assert found["source"] == "bpf" and said(done) == f"ebtop: {PID_NAMESPACE}"
    # it is 1 there
    own = [p for p in found["processes"] if p["comm"].startswith("python")]
    assert own and all(process["pid"] > 1 for process in own)
    report = run(*PID, *command("doctor")).stdout.decode()
    assert "own pid namespace                 yes: pids are the machine's own" in report


def test_in_a_pid_namespace_processes_within_are_counted_exactly(tmp_path: Path) -> None:
    go = tmp_path / "go"
    before = (*PID, "sh", "-c", WITHIN, str(go), workload("act"))
    with sampling("-d", "0.5", "--cumulative", before=before) as samples:
        samples.next()
        go.touch()
        for _ in range(60):
            act = [p for p in samples.next()["processes"] if p["comm"] == "act"]
            if act and act[0]["voluntary_switches"] >= 211 and is_paused(act[0]["pid"]):
                break
        # under the machine's pid, by which it is found out here
        status = Path(f"/proc/{act[0]['pid']}/status").read_text()
        for _ in range(5):  # some were written before
            act = [p for p in samples.next()["processes"] if p["comm"] == "act"]
    assert len(act) == 1
    counts = dict(line.split(":\t") for line in status.splitlines() if "ctxt_switches" in line)
    assert act[0]["voluntary_switches"] == int(counts["voluntary_ctxt_switches"]) >= 211
    assert act[0]["involuntary_switches"] == int(counts["nonvoluntary_ctxt_switches"])
    assert act[0]["rss_bytes"] > 0


def test_in_a_container_it_shows_the_containers_processes_and_names_what_it_lacks() -> None:
    done = run(*CONTAINER, *command(*JSON))
    found = sample(done)
    assert found["source"] == "proc" and "reading /proc only: " in said(done)
    assert [process["pid"] for process in found["processes"]] == [1]
    assert found["processes"][0]["rss_bytes"] > 0
    for probe in doctor(run(*CONTAINER, *command("doctor", "--json"))).values():
        assert probe["state"] == "denied"
        assert "CAP_BPF and CAP_PERFMON, which this root lacks" in probe["help"]
    report = run(*CONTAINER, *command("doctor")).stdout.decode()
    assert "capabilities                      none of those that help" in report
    insisting = run(*CONTAINER, *command("--source", "bpf", *JSON))
    assert (insisting.returncode, insisting.stdout) == (77, b"")
    said(insisting)
