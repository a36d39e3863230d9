# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The doctor names each probe, its state, and for those that cannot run why and what would help."""

from __future__ import annotations

import json

import pytest
from running import NOBODY, asked_for, ebtop, why_not_as_nobody

from ebtop.commands import doctor
from ebtop.model.snapshot import ProbeStatus
from ebtop.probes import NAMES as PROBES


def machine(**facts):
    return {**doctor.read_machine(), "capabilities": list(doctor._CAPABILITIES), "btf": True,
            "lockdown": "none", "memlock_bytes": None, **facts}  # fmt: skip


def helps(facts, reason="why"):
    return "; ".join(doctor._help(facts, ProbeStatus("sched", "denied", "", reason, None, None)))


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        ({"capabilities": [], "root": False}, "run as root (sudo "),
        ({"capabilities": ["CAP_BPF"], "root": False}, "with CAP_PERFMON"),
        ({"capabilities": [], "root": True}, "CAP_BPF and CAP_PERFMON, which this root lacks"),
        ({"btf": False}, "CONFIG_DEBUG_INFO_BTF"),
        ({"lockdown": "confidentiality"}, "'confidentiality'"),
    ],
)
def test_what_is_missing_is_what_helps(facts, word):
    assert word in helps(machine(**facts))


def test_with_nothing_missing_nothing_is_advised():
    assert helps(machine()) == ""
    assert helps(machine(lockdown="integrity", memlock_bytes=65536)) == ""


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("needs more locked memory than allowed (ulimit -l)", "ulimit -l unlimited"),
        ("the machine or its memory cgroup is too small", "memory.max"),
        ("the hook has as many BPF programs as the kernel allows", "other tracers"),
        ("this kernel has no BPF ring buffer", "Linux 5.8"),
    ],
)
def test_what_the_collector_says_tells_what_helps(reason, word):
    assert word in helps(machine(), reason)


def test_facts_of_an_empty_machine_are_unknown(tmp_path):
    facts = doctor.read_machine(str(tmp_path))
    for name in ("capabilities", "lockdown", "unprivileged_bpf_disabled", "tracefs"):
        assert facts[name] is None
    assert facts["btf"] is False


def test_lockdown_is_the_word_in_brackets(tmp_path):
    path = tmp_path / "lockdown"
    path.write_text("none [integrity] confidentiality\n")
    assert doctor._lockdown(str(path)) == "integrity"
    path.write_text("\x1b[2J")
    assert doctor._lockdown(str(path)) is None


def test_a_report_has_a_line_a_probe():
    done = ebtop("doctor")
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    for name in PROBES:
        assert f"probe {name}" in text
    assert "BTF" in text and "lockdown" in text


def test_a_report_as_json():
    report = json.loads(ebtop("doctor", "--json").stdout)
    assert (report["schema"], report["type"]) == (1, "doctor")
    assert [probe["name"] for probe in report["probes"]] == list(PROBES)
    for probe in report["probes"]:
        assert (probe["reason"] is None) == (probe["state"] == "on")


@pytest.mark.skipif(bool(why_not_as_nobody()), reason=why_not_as_nobody())
def test_to_nobody_it_says_denied_and_root_would_help():
    done = ebtop("doctor", "--json", **NOBODY)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["source"] == "proc" and report["machine"]["root"] is False
    for probe in asked_for(report).values():
        assert probe["state"] in ("denied", "unsupported")
        assert probe["reason"]
