# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A locked-down kernel: what may still be read is exact, what may not is unknown, and named."""

from __future__ import annotations

import os

import pytest
from observe import opened, row_of, start, until_asleep, value
from proof import JSON, KERNEL, proves_exact
from running import doctor, ebtop, sample

RSS_KNOWN = KERNEL >= (6, 2)
"""Before, resident memory is in a union that only bpf_probe_read can tell apart."""


@pytest.mark.setting("integrity", "confidentiality")
def test_what_may_be_counted_is_exact() -> None:
    with opened() as session:
        snapshot = proves_exact(session)
    assert {probe.state for probe in snapshot.probes if probe.state != "off"} == {"on"}


@pytest.mark.setting("integrity")
def test_integrity_takes_nothing_away() -> None:
    with opened() as session:
        process = start("exit", "3")
        process.wait()
        survivor = start("wait", "0")
        until_asleep(survivor.pid)
        snapshot = session.refresh()
        row, alive = row_of(snapshot, process.pid, gone=True), row_of(snapshot, survivor.pid)
        survivor.kill()
        survivor.wait()
    assert row["text_bytes"] > 0 and value(row, "exit_code") == 3 << 8
    assert value(alive, "rss_bytes") > 0
    assert "lockdown                          integrity\n" in ebtop("doctor").stdout.decode()
    for probe in doctor(ebtop("doctor", "--json")).values():
        assert (probe["state"], probe["help"]) == ("on", None)


@pytest.mark.setting("confidentiality")
def test_confidentiality_takes_arguments_and_before_6_2_resident_memory() -> None:
    with opened() as session:
        process = start("exit", "3")
        process.wait()
        survivor = start("wait", "0")
        until_asleep(survivor.pid)
        snapshot = session.refresh()
        row, alive = row_of(snapshot, process.pid, gone=True), row_of(snapshot, survivor.pid)
        survivor.kill()
        survivor.wait()
    assert (row["comm"], row["text_bytes"], row["exit_code"]) == (b"act", 0, 3 << 8)
    assert (value(alive, "rss_bytes") is not None) == RSS_KNOWN
    assert value(alive, "virtual_bytes") > 0


@pytest.mark.setting("confidentiality")
def test_confidentiality_is_named_with_what_it_takes() -> None:
    found = sample(done := ebtop(*JSON))
    assert found["source"] == "bpf" and not done.stderr
    mine = next(process for process in found["processes"] if process["pid"] == os.getpid())
    assert (mine["rss_bytes"] is not None) == RSS_KNOWN
    assert mine["cmdline"] and "pytest" in mine["cmdline"]  # from /proc, which is not locked
    lost = {"sched": None, "life": "(without arguments of execs)",
            "tasks": None if RSS_KNOWN else "(without resident memory)",
            "syscall": "(without names of opened files)"}  # fmt: skip
    probes = doctor(ebtop("doctor", "--json"))
    opens, memory = probes.pop("open"), probes.pop("mem")
    # before, the current task is but an address
    assert memory["state"] == ("on" if KERNEL >= (5, 11) else "unsupported")
    assert "(without" not in memory["hook"]
    assert opens["state"] == "unsupported" and "nor file names read" in opens["reason"]
    assert "kernel lockdown (it is 'confidentiality')" in opens["help"]
    for name, probe in probes.items():
        word = lost.get(name)
        assert (probe["state"], probe["reason"]) == ("on", None)
        assert (word or "") in probe["hook"] and ("(without" in probe["hook"]) == bool(word)
        assert (probe["help"] is None) == (word is None)
        assert word is None or "kernel lockdown (it is 'confidentiality')" in probe["help"]
    assert "lockdown                          confidentiality\n" in ebtop("doctor").stdout.decode()
