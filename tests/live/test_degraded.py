# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What this kernel cannot be made to lack is refused on purpose: each time ebtop starts, shows
something true, and names the cause in one line; the doctor says the same, and what would help."""

from __future__ import annotations

import errno
import os
import re
import subprocess

import pytest
from running import TREE, command, doctor, ebtop, said, sample

NO_BTF = 'mount -t tmpfs none /sys/kernel/btf && exec "$@"'
NO_TRACEFS = """
    for mount in $(grep -E ' (tracefs|debugfs) ' /proc/self/mounts | cut -d' ' -f2 | tac); do
        umount -l "$mount" || exit 1
    done
    exec "$@"
"""
MASKED = """
    mount -t tmpfs none /sys && mount --bind /dev/null /proc/meminfo &&
    mount --bind /dev/null /proc/loadavg && mount --bind /dev/null /proc/uptime && exec "$@"
"""


def within(preparation: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Runs ebtop in a mount namespace of its own, after `preparation`."""
    inside = ["unshare", "-m", "sh", "-c", preparation, "sh", *command(*arguments)]
    return subprocess.run(inside, capture_output=True, timeout=60, check=False)


def refusing(what: dict[str, int], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    refused = ",".join(f"{name}:{code}" for name, code in what.items())
    return ebtop(*arguments, env={**os.environ, "LC_ALL": "C.UTF-8", "EBTOP_FAIL": refused})


JSON = ("--json", "-n", "1", "-d", "0.2")


def test_without_btf_it_reads_proc_and_says_so() -> None:
    done = within(NO_BTF, *JSON)
    assert sample(done)["source"] == "proc"
    assert "this kernel has no BTF (/sys/kernel/btf/vmlinux)" in said(done)
    for probe in doctor(within(NO_BTF, "doctor", "--json")).values():
        assert probe["state"] == "unsupported"
        assert "no BTF" in probe["reason"] and "CONFIG_DEBUG_INFO_BTF" in probe["help"]


def test_without_btf_insisting_on_bpf_is_refused() -> None:
    done = within(NO_BTF, "--source", "bpf", *JSON)
    assert (done.returncode, done.stdout) == (77, b"")
    assert "no BTF" in said(done)


@pytest.mark.parametrize(
    ("name", "code", "state", "reason", "help"),
    [
        ("events", errno.EINVAL, "unsupported", "no BPF ring buffer", "Linux 5.8"),
        ("slots", errno.ENOMEM, "failed", "memory cgroup is too small", "memory.max"),
        ("slots", errno.EPERM, "denied", "locked memory than allowed (ulimit -l)", "ulimit -l"),
        ("losses", errno.E2BIG, "failed", "cannot create map losses: Argument list", ""),
    ],
)
@pytest.mark.long("the refusal is made up, so that every kernel answers alike")
def test_without_a_map_it_reads_proc_and_says_so(
    name: str, code: int, state: str, reason: str, help: str
) -> None:
    done = refusing({name: code}, *JSON)
    assert sample(done)["source"] == "proc"
    assert reason in said(done)
    for probe in doctor(refusing({name: code}, "doctor", "--json")).values():
        assert probe["state"] == state
        assert reason in probe["reason"] and help in probe["help"]


@pytest.mark.parametrize("name", ["file_slots", "file_counts", "mem_slots", "syscall_slots"])
def test_without_a_place_to_count_in_its_probes_alone_know_nothing(name: str) -> None:
    wanted = "sched,life,tasks,syscall,open,vfs,mem"
    found = sample(refusing({name: errno.ENOMEM}, *JSON, "--probes", wanted))
    assert found["source"] == "bpf"
    states = {probe["name"]: probe["state"] for probe in found["probes"]}
    failed = {"mem_slots": {"mem"}, "syscall_slots": {"syscall", "vfs", "mem"}}
    assert {n for n in wanted.split(",") if states[n] == "failed"} >= failed.get(name, {"vfs"})
    mine = next(row for row in found["processes"] if row["pid"] == os.getpid())
    assert mine["oncpu_ns"] is not None and mine["threads"] >= 1
    unknown = {"mem_slots": "allocated_bytes", "syscall_slots": "syscalls"}
    assert mine[unknown.get(name, "opens")] is None


@pytest.mark.parametrize("program", ["wakeup_btf", "exit_btf"])
def test_without_a_tracepoint_only_its_own_values_are_unknown(program: str) -> None:
    gone = {program: errno.ESRCH}
    found = sample(done := refusing(gone, *JSON))
    lost = "sched" if program == "wakeup_btf" else "life"
    assert found["source"] == ("proc" if lost == "sched" else "bpf")
    assert ("no exact times" in done.stderr.decode()) == (lost == "sched")
    states = {probe["name"]: probe["state"] for probe in found["probes"]}
    # system calls and disk requests are counted beside the slots of threads
    with_it = {"syscall", "block", "vfs", "tcp", "stacks", "mem"}  # which count beside its slots
    off = {"sched": {"sched", *with_it}, "life": {"life"}}[lost]
    running = {n: "unsupported" if n in off else "on" for n in states}
    running |= {"open": "off", "kfunc": "off", "signals": "off"}
    if lost == "sched":
        running["sockets"] = "off"  # it comes with tcp
    assert states == running
    assert (found["system"]["context_switches"] is None) == (lost == "sched")
    assert (found["system"]["started"] is None) == (lost == "life")
    mine = next(p for p in found["processes"] if p["pid"] == os.getpid())
    assert (mine["runq_wait_ns"] is None) == (lost == "sched")
    assert doctor(refusing(gone, "doctor", "--json"))[lost]["reason"]


def test_hook_that_is_full_is_named_and_the_rest_goes_on() -> None:
    full = {"wakeup_btf@attach": errno.E2BIG}
    found = sample(refusing(full, *JSON))
    probes = {probe["name"]: probe for probe in found["probes"]}
    assert [probes[name]["state"] for name in ("sched", "life", "tasks")] == ["failed", "on", "on"]
    assert probes["sched"]["reason"] == "the hook has as many BPF programs as the kernel allows"
    told = doctor(refusing(full, "doctor", "--json"))["sched"]
    assert told["reason"] == probes["sched"]["reason"] and "other tracers" in told["help"]


def test_program_too_large_is_not_taken_for_a_full_hook() -> None:
    probes = sample(refusing({"wakeup_btf": errno.E2BIG}, *JSON))["probes"]
    assert "hook" not in next(p for p in probes if p["name"] == "sched")["reason"]


def test_without_tracefs_and_debugfs_nothing_is_missing() -> None:
    found = sample(done := within(NO_TRACEFS, *JSON))
    states = {probe["state"] for probe in found["probes"] if probe["state"] != "off"}
    assert states == {"on"} and not done.stderr
    done = within(NO_TRACEFS, "doctor")
    assert re.search(rb"^tracefs +- \(not needed\)$", done.stdout, re.MULTILINE)


def test_with_proc_and_sys_masked_their_values_alone_are_unknown() -> None:
    found = sample(within(MASKED, *JSON))
    system = found["system"]
    unknown = ("load1", "memory_total_bytes", "memory_available_bytes")
    assert [system[name] for name in unknown] == [None, None, None]
    assert system["cpus"] == os.cpu_count()
    assert found["source"] == "proc" and "cpu/possible" in found["self"]["source_reason"]
    frame = within(MASKED, "--once", "--size", "110x20").stdout.decode()
    assert re.search(r"up -  load -", frame) and re.search(r"Mem\[ *-\]|mem -", frame), frame


def test_statistics_that_may_not_be_switched_on_are_unknown() -> None:
    limited = ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"]
    done = subprocess.run([*limited, *command(*JSON)], capture_output=True, timeout=60, check=False)
    found = sample(done)
    for probe in found["probes"]:
        if probe["state"] == "off":
            continue  # not asked for
        assert (probe["state"], probe["runs"], probe["run_ns"]) == ("on", None, None)
    assert found["self"]["probe_ns"] is found["self"]["probe_cpu_percent"] is None
    once = [*limited, *command("--once", "--size", "110x20")]
    frame = subprocess.run(once, capture_output=True, timeout=60, check=True).stdout
    assert b"  BPF -  " in frame


def test_task_storage_is_not_needed() -> None:
    """5.10 has none for tracing: the maps are of types that it has, whatever the kernel."""
    sources = [*TREE.glob("bpf/*.[ch]"), *TREE.glob("csrc/**/*.[ch]")]
    types = {t for path in sources for t in re.findall(r"BPF_MAP_TYPE_(\w+)", path.read_text())}
    assert {"ARRAY", "RINGBUF"} <= types
    assert types <= {"ARRAY", "PERCPU_ARRAY", "HASH", "LRU_HASH", "RINGBUF"}
