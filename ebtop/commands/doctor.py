# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns `ebtop doctor`: what this machine can trace, probe by probe, and what would help.

A probe is tested by opening it, never by the kernel's version. The machine's settings are read only
to explain the result.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Optional

from ebtop import __version__
from ebtop.errors import EbtopError
from ebtop.model.snapshot import ProbeStatus, Program
from ebtop.options.options import Options
from ebtop.probes import BY_NAME, CHOOSABLE, NAMES
from ebtop.runtime.stdio import write_all
from ebtop.sources.host import in_own_pid_namespace, read_small
from ebtop.text import displayable

_CAPABILITIES = {
    "CAP_BPF": 39,
    "CAP_PERFMON": 38,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_RESOURCE": 24,
    "CAP_SYS_PTRACE": 19,
    "CAP_DAC_READ_SEARCH": 2,
}
_HELPS = {
    "ulimit -l": "a higher limit of locked memory (ulimit -l unlimited), or CAP_SYS_RESOURCE",
    "memory cgroup": "more memory, or a higher memory.max of the cgroup that it runs in",
    "as many BPF programs": "ending other tracers of this hook (bpftool link)",
    "no BPF ring buffer": "Linux 5.8 or newer",
}
"""What helps, by words of the collector's reason."""
_TRACEFS = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")


def run(options: Options) -> int:
    """Writes the report. A probe that cannot run is a result, not a failure: the status is 0."""
    machine = read_machine()
    report = _report(machine, *try_probes(options))
    if options.json:
        import json

        write_all((json.dumps(report) + "\n").encode())
    else:
        write_all("".join(line + "\n" for line in _lines(report)).encode())
    return 0


def try_probes(options: Options) -> tuple[list[ProbeStatus], list[Program], str]:
    """The status of every probe once opened, the programs, and the source that sampling would
    use."""
    from ebtop.control.choose import open_source

    wanted = Options(command="doctor", probes=options.probes or CHOOSABLE, debug=options.debug)
    try:
        # always try: --source does not change what this machine can do
        with open_source(wanted, verifier_stats=True) as source:
            snapshot = source.refresh(cost=False)
            programs = source.programs()
    except EbtopError as error:
        failed = [ProbeStatus(name, "failed", "", str(error), None, None) for name in NAMES]
        return failed, [], "proc"
    return list(snapshot.probes), programs, snapshot.source


# ---- the settings that explain ----


def read_machine(root: str = "") -> dict[str, Any]:
    """Facts by name; None where they cannot be read."""
    caps = _effective_capabilities(f"{root}/proc/self/status")
    system = os.uname()
    return {
        "version": __version__,
        "kernel": system.release,
        "architecture": system.machine,
        "root": os.geteuid() == 0,
        "btf": os.access(f"{root}/sys/kernel/btf/vmlinux", os.R_OK),
        "capabilities": None
        if caps is None
        else [name for name, bit in _CAPABILITIES.items() if caps >> bit & 1],
        "lockdown": _lockdown(f"{root}/sys/kernel/security/lockdown"),
        "unprivileged_bpf_disabled": _setting(f"{root}/proc/sys/kernel/unprivileged_bpf_disabled"),
        "bpf_stats_enabled": _setting(f"{root}/proc/sys/kernel/bpf_stats_enabled"),
        "perf_event_paranoid": _setting(f"{root}/proc/sys/kernel/perf_event_paranoid"),
        "tracefs": next((p for p in _TRACEFS if os.path.exists(f"{root}{p}/events")), None),
        "memlock_bytes": _memlock_bytes(),
        "room": _room(),
        "own_pid_namespace": in_own_pid_namespace(f"{root}/proc"),
    }


def _effective_capabilities(path: str) -> Optional[int]:
    word = _status_words(path).get(b"CapEff", [])
    try:
        return int(word[0], 16)
    except (IndexError, ValueError):
        return None


def _status_words(path: str) -> dict[bytes, list[bytes]]:
    lines = (read_small(path) or b"").split(b"\n")
    return {name: rest.split() for name, _, rest in (line.partition(b":") for line in lines)}


def _lockdown(path: str) -> Optional[str]:
    """none, integrity or confidentiality: the word in brackets."""
    _, _, rest = (read_small(path) or b"").partition(b"[")
    word, closed, _ = rest.partition(b"]")
    return displayable(word) if closed else None


def _setting(path: str) -> Optional[int]:
    try:
        return int(read_small(path) or b"")
    except ValueError:
        return None


def _room() -> Optional[str]:
    """What a shortage of memory costs; None if there is enough for all tables."""
    from ebtop.sources.room import choose

    try:
        return choose().about
    except EbtopError as error:
        return str(error)


def _memlock_bytes() -> Optional[int]:
    import resource

    soft = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    return None if soft == resource.RLIM_INFINITY else soft


# ---- the report ----


def _report(
    machine: dict[str, Any], probes: list[ProbeStatus], programs: list[Program], source: str
) -> dict[str, Any]:
    rows = [
        {
            "name": probe.name,
            "state": probe.state,
            "hook": probe.hook or None,
            "reason": probe.reason,
            "help": "; ".join(_help(machine, probe)) if _has_less(probe) else None,
            "gives": BY_NAME[probe.name].gives,
            "programs": [
                {"name": own.name, "hook": own.hook, "instructions": own.instructions}
                for own in programs
                if own.probe == probe.name
            ],
        }
        for probe in probes
    ]
    return {"schema": 1, "type": "doctor", "source": source, "machine": machine, "probes": rows}


def _has_less(probe: ProbeStatus) -> bool:
    """Whether the probe is off, or on with some of its programs refused."""
    return probe.state != "on" or "(without " in probe.hook


def _help(machine: dict[str, Any], probe: ProbeStatus) -> Iterator[str]:
    """What would help, most likely first."""
    from ebtop.control.choose import root_command

    caps = machine["capabilities"]
    if probe.state == "off":
        yield BY_NAME[probe.name].advice
        return
    if caps is not None and "CAP_SYS_ADMIN" not in caps:
        missing = [name for name in ("CAP_BPF", "CAP_PERFMON") if name not in caps]
        names = " and ".join(missing)
        if missing and machine["root"]:
            yield f"{names}, which this root lacks (a container has to be given them)"
        elif missing:
            yield f"run as root ({root_command()}), or with {names}"
    if not machine["btf"]:
        yield "a kernel with BTF (CONFIG_DEBUG_INFO_BTF=y; /sys/kernel/btf/vmlinux is missing)"
    if machine["lockdown"] == "confidentiality":  # integrity forbids no reading
        yield f"start without kernel lockdown (it is {machine['lockdown']!r})"
    for word, help in _HELPS.items():
        if word in (probe.reason or ""):
            yield help


def _lines(report: dict[str, Any]) -> Iterator[str]:
    machine = report["machine"]
    yield f"ebtop {machine['version']} on Linux {displayable(machine['kernel'])}" \
        f" {machine['architecture']}"  # fmt: skip
    full = "BPF: exact, from the scheduler's events"
    yield f"source: {full if report['source'] == 'bpf' else '/proc: only what files say'}"
    yield ""
    for probe in report["probes"]:
        yield from _probe_lines(probe)
    yield ""
    yield from _machine_lines(machine)


def _probe_lines(probe: dict[str, Any]) -> Iterator[str]:
    head = f"probe {probe['name']:<6} {probe['state']}"
    yield f"{head:<24}{displayable(probe['hook'] or '')}".rstrip()
    counts = [f"{own['name']} {own['instructions'] or '-'}" for own in probe["programs"]]
    if counts:
        yield f"    programs, and what the verifier processed: {', '.join(counts)}"
    if probe["reason"]:
        yield f"    why:    {displayable(probe['reason'])}"
    if probe["help"]:
        yield f"    helps:  {displayable(probe['help'])}"
    if probe["state"] != "on":
        yield f"    lost:   {probe['gives']}"


def _machine_lines(machine: dict[str, Any]) -> Iterator[str]:
    def shown(value: object) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        return "-" if value is None else displayable(str(value))

    from ebtop.control.choose import PID_NAMESPACE

    caps = machine["capabilities"]
    limit = machine["memlock_bytes"]
    rows = {
        "root": shown(machine["root"]),
        "capabilities": "-" if caps is None else " ".join(caps) or "none of those that help",
        "BTF (/sys/kernel/btf/vmlinux)": shown(machine["btf"]),
        "lockdown": shown(machine["lockdown"]),
        "tracefs": shown(machine["tracefs"]) + ("" if machine["tracefs"] else " (not needed)"),
        "kernel.unprivileged_bpf_disabled": shown(machine["unprivileged_bpf_disabled"]),
        "kernel.bpf_stats_enabled": shown(machine["bpf_stats_enabled"]),
        "kernel.perf_event_paranoid": shown(machine["perf_event_paranoid"]),
        "memory": machine["room"] or "enough for all tables",
        "locked memory limit": "unlimited" if limit is None else f"{limit} bytes",
        "own pid namespace": PID_NAMESPACE.replace("in a pid namespace", "yes")
        if machine["own_pid_namespace"]
        else shown(machine["own_pid_namespace"]),
    }
    for name, value in rows.items():
        yield f"{name:<34}{value}"
