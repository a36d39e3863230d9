# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What `ebtop run` makes of the rows of a tree, `ebtop diff` of two reports, and their options."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import synthetic

from ebtop.commands.diff import as_json, as_text, changes, differences
from ebtop.commands.diff import run as diff
from ebtop.commands.run_command import find, status_of
from ebtop.errors import EbtopError, UsageError
from ebtop.model.layout import CONNECTION, FOLLOWED, KNOWN_BIT, Table
from ebtop.model.process_tree import ProcessTree
from ebtop.model.runcost import RunCost
from ebtop.options.commandline import parse
from ebtop.outputs.run_json import Run, Usage, json_pieces
from ebtop.outputs.runtext import text_report
from ebtop.sources.machine import cpu_model

MACHINE = {"kernel": "6.1", "cpu_model": "A\x1b[2J", "cpus": 2, "governor": None,
           "cgroup_cpu_max": None, "cgroup_memory_max": None}  # fmt: skip
USAGE = Usage(3_000_000, 1_000_000, 9 << 20, 5, 1, 0, 0, 7, 2)


def kin(pid, comm=b"kin", oncpu_ms=10, **values):
    return synthetic.running(pid, comm, oncpu_ms, flags=FOLLOWED | 1, **values)


def snapshot(*rows, source="bpf"):
    return replace(synthetic.snapshot(list(rows)), cumulative=True, source=source)


def report_of(tree, last, **changed):
    values = {
        "words": (b"make", b"\x1b[31m"), "exit_code": 2, "duration_ns": 2_000_000_000,
        "tree": tree, "last": last, "machine": MACHINE, "usage": USAGE, "lost": {"forks": 0},
    }  # fmt: skip
    return Run(**{**values, **changed})


def gone(pid, code=0, **values):
    row = synthetic.exited(pid, b"kin", code, **values)
    return {**row, "flags": row["flags"] | FOLLOWED}


def built():
    tree = ProcessTree(50)
    tree.absorb(
        snapshot(kin(50, oncpu_ms=10), kin(51, oncpu_ms=20), synthetic.running(9, b"no", 5))
    )
    last = snapshot(kin(50, oncpu_ms=40), gone(51, 3 << 8, oncpu_ns=25_000_000))
    tree.absorb(last)
    tree.absorb(snapshot(kin(50, oncpu_ms=41)))
    return tree, last


def test_those_that_ended_stay_with_their_last_numbers():
    tree, last = built()
    got = json.loads("".join(json_pieces(report_of(tree, last))))
    assert [one["pid"] for one in got["processes"]] == [50, 51]
    assert [one["exit_code"] for one in got["processes"]] == [None, 3]
    assert [one["oncpu_ns"] for one in got["processes"]] == [41_000_000, 25_000_000]
    total = got["total"]
    assert (total["oncpu_ns"], total["processes"], got["still_running"]) == (66_000_000, 2, 1)
    assert (got["schema"], got["type"], got["exit_code"]) == (1, "run", 2)
    assert got["command"] == ["make", "\x1b[31m"]
    assert set(got["figures"]) == set(total)
    assert got["figures"]["connections"] == "missing" and got["figures"]["oncpu_ns"] == "counted"


def test_the_text_is_harmless_and_has_every_part():
    text = text_report(report_of(*built()), False)
    assert text.isprintable() or set(text) - {"\n"} == {c for c in text if c.isprintable()}
    for part in ("exit status", "on a CPU", "COMMAND", "system calls", "files opened", "Linux 6.1"):
        assert part in text
    assert "1 still running" in text


def test_a_peak_that_is_our_own_fork_s_is_not_told():
    tree = ProcessTree(50)
    last = snapshot(gone(50, peak_rss_bytes=8 << 20), gone(51, peak_rss_bytes=3 << 20))
    tree.absorb(last)
    tree.floor_rss_bytes = 8 << 20
    run = report_of(tree, last, usage=replace(USAGE, peak_rss_bytes=8 << 20))
    assert run.total()["peak_rss_bytes"] == 3 << 20
    assert [one["peak_rss_bytes"] for one in run.processes()] == [None, 3 << 20]
    assert "at most" in text_report(
        replace(run, usage=replace(USAGE, peak_rss_bytes=8 << 20)), False
    )


def test_what_it_cost_is_the_sum_over_all_looks():
    cost = RunCost()
    first, quiet = snapshot(kin(50)), snapshot(kin(50))
    assert cost.probe_ns is None
    cost.absorb(first)
    cost.absorb(quiet)
    assert cost.events == 2 * first.self_cost.events
    assert cost.probe_ns == 2 * sum(probe.run_ns or 0 for probe in first.probes)
    cost.cpu_ns = 10_000_000
    tree, last = built()
    got = json.loads("".join(json_pieces(report_of(tree, last, cost=cost))))
    assert (got["self"]["cpu_percent"], got["self"]["events"]) == (0.5, cost.events)
    assert got["self"]["probe_ns"] == cost.probe_ns == 2_040_000
    assert got["self"]["probe_cpu_percent"] == 0.102
    assert [one["runs"] for one in got["probes"]] == [2400, 24, 2]
    # statistics that were off for a while make all of it unknown
    cost.absorb(replace(first, probes=(replace(first.probes[0], run_ns=None, runs=None),)))
    assert cost.probe_ns is None


def test_disks_connections_and_opens_are_in_both_forms():
    no_log = synthetic.ALL_KNOWN & ~(1 << KNOWN_BIT["opens"])
    last = replace(
        snapshot(kin(50, known=no_log)),
        disks=synthetic.storing().disks,
        syscalls=synthetic.calling().syscalls,
        connections=Table(CONNECTION, CONNECTION.pack(
            synthetic.connection("192.0.2.1:5001", "192.0.2.2:80", "ESTABLISHED", pid=50,
                                 owner_start_ns=kin(50)["start_ns"], tx_bytes=211, rx_bytes=307,
                                 rtt_us=120))),
    )  # fmt: skip
    tree = ProcessTree(50)
    tree.absorb(last)
    run = report_of(tree, last)
    got = json.loads("".join(json_pieces(run)))
    # the one that had nothing to do is left out
    assert [disk["name"] for disk in got["disks"]] == ["nvme0n1", "vdb\x1b[2J"]
    assert got["disks"][0]["busy_percent"] == 48.5
    assert [(one["dport"], one["tx_bytes"]) for one in got["connections"]] == [(80, 211)]
    # five of them by 32-bit code
    assert got["total"]["opens"] == 136 and got["figures"]["opens"] == "counted"
    text = text_report(run, True)
    for part in ("connections: 1", "192.0.2.2:80", "nvme0n1", "probes, ", "tp_btf/sched_switch"):
        assert part in text
    assert "\x1b" not in text


def test_without_bpf_the_tree_is_by_parent_and_who_vanishes_has_ended():
    tree = ProcessTree(50)
    first = [kin(50, ppid=1), kin(51, ppid=50), kin(52, ppid=51), synthetic.running(60, b"x", 1)]
    rows = [{**row, "flags": 1} for row in first]
    tree.absorb(snapshot(*rows, source="proc"))
    assert {key[0] for key in tree.members} == {50, 51, 52}
    # an orphan stays in the tree
    last = snapshot(rows[0], {**rows[2], "ppid": 1}, source="proc")
    tree.absorb(last)
    assert tree.living == {50, 52}
    run = report_of(tree, last)
    figures = run.figures(run.total())
    assert run.total()["oncpu_ns"] == 4_000_000 and figures["oncpu_ns"] == "counted"
    assert figures["runq_wait_ns"] == "sampled"


def test_an_unknown_part_makes_the_sum_unknown():
    tree = ProcessTree(50)
    blind = kin(51)
    blind["known"] = 0
    last = snapshot(kin(50), blind)
    tree.absorb(last)
    assert report_of(tree, last).total()["oncpu_ns"] is None


def reports(*durations, calls=0):
    return [
        {"type": "run", "duration_ns": ns, "machine": MACHINE, "total": {"opens": 3, "wait_ns":
         {"disk": ns}}, "syscalls": [{"name": "read", "calls": calls}] if calls else []}
        for ns in durations
    ]  # fmt: skip


def test_diff_tells_change_from_noise():
    found = {one.name: one for one in changes(reports(10, 12, 11), reports(20, 22, 21, calls=5))}
    assert found["duration_ns"].beyond_noise and found["duration_ns"].before == 11
    assert found["read() calls"].before == 0 and found["read() calls"].percent is None
    assert found["opens"].beyond_noise is False
    within = {one.name: one for one in changes(reports(10, 20, 30), reports(11, 21, 29))}
    assert within["duration_ns"].beyond_noise is False
    alone = next(changes(reports(10), reports(20)))
    assert alone.beyond_noise is None and alone.percent == 100


def test_diff_writes_both_forms():
    found = list(changes(reports(10), reports(20)))
    notes = list(differences(reports(1)[0], {**reports(1)[0], "machine": {"kernel": "5\x1b"}}))
    text = as_text(found, notes, True)
    assert "\x1b" not in text and "+100.0%" in text and "not the same: kernel" in text
    assert json.loads(json.dumps(as_json(found, notes)))["changes"][0]["percent"] == 100


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b"{", b'{"type":"sample"}', b"[" * 100_000, b"\xff"]
)
def test_diff_refuses_what_is_no_report(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(EbtopError):
        diff(parse(["diff", str(tmp_path / "a"), str(tmp_path / "a")]))


@pytest.mark.parametrize(
    "total", [[], None, {"a": "b"}, {"a": [1]}, {"a": True}, {"a": {"b": {"c": 1}}}]
)
def test_diff_takes_any_types(total):
    report = {"type": "run", "total": total, "syscalls": [1, {}, {"name": 3}], "machine": 4}
    assert list(changes([report], [report])) == []
    assert list(differences(report, report)) == []


def test_options():
    got = parse(["run", "--json", "--wait", "--", "make", "--json", "--", "x"])
    assert got.words == ("make", "--json", "--", "x") and got.json and got.wait
    assert parse(["run", "sh", "-c", "exit 1"]).words == ("sh", "-c", "exit 1")
    got = parse(["run", "-p", "7", "--duration", "2", "--no-probes", "syscall,sched"])
    assert (got.pids, got.duration_s) == ((7,), 2.0)
    assert got.probes and {"sched", "life"} <= set(got.probes)
    assert not {"syscall", "vfs", "mem"} & set(got.probes)
    got = parse(["run", "--probes", "vfs,syscall", "--no-probes", "syscall", "--", "x"])
    assert got.probes and "vfs" in got.probes and "syscall" not in got.probes


@pytest.mark.parametrize(
    "words",
    ["run", "run --", "run --json", "run --bogus -- x", "run -p 3 -- x", "run --duration 3 -- x",
     "run make -- x", "run -p 3 --wait", "diff a", "diff a b c"],
)  # fmt: skip
def test_wrong_usage(words):
    with pytest.raises(UsageError):
        parse(words.split())


def test_a_command_is_found_as_a_shell_does(tmp_path):
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    path = bytes(tmp_path)
    with pytest.raises(OSError) as error:
        find(b"tool", path)
    assert status_of(error.value.errno) == 126
    (tmp_path / "tool").chmod(0o755)
    assert find(b"tool", b"/no/such:" + path) == bytes(tmp_path / "tool")
    for missing in (b"nothing", b"./nothing/x", b"x" * 300):
        with pytest.raises(OSError) as error:
            find(missing, path)
        assert status_of(error.value.errno) == 127


def test_the_model_of_a_cpu():
    assert cpu_model(b"processor : 0\nmodel name\t: AMD X\nflags: a\n") == "AMD X"
    assert cpu_model(b"junk") is None and cpu_model(None) is None
