# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the checks of the JSON sample and of batch text: keys, nulls, limits, exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import synthetic

from ebtop.model.filters import RowFilter
from ebtop.model.process_table import by_name
from ebtop.model.rows import RowQuery
from ebtop.model.snapshot import Snapshot
from ebtop.model.waitreasons import REASONS
from ebtop.outputs.sample_json import PROCESS_KEYS, sample_line
from ebtop.ui.batch import batch_text
from ebtop.ui.state import ViewState

TOP_KEYS = [
    "schema", "type", "time", "interval_s", "source", "system", "self", "probes", "processes",
    "threads", "syscalls", "connections", "disks",
]  # fmt: skip
SYSTEM_KEYS = {
    "cpus", "cpu_percent", "load1", "load5", "load15", "memory_total_bytes",
    "memory_available_bytes", "processes", "threads", "started", "exited", "context_switches",
    "syscalls", "cpu_user_percent", "cpu_nice_percent", "cpu_system_percent", "cpu_irq_percent",
    "cpu_softirq_percent", "cpu_steal_percent", "cpu_guest_percent", "cpu_iowait_percent",
    "cpu_idle_percent", "pressure", "run_queue", "run_queue_p99_ns", "swap_total_bytes",
    "swap_free_bytes", "huge_pages_total_bytes", "huge_pages_free_bytes", "anon_huge_pages_bytes",
    "allocated_bytes", "freed_bytes", "execs", "failed_execs",
}  # fmt: skip
SELF_KEYS = {"cpu_percent", "rss_bytes", "probe_ns", "probe_cpu_percent", "events", "lost"}
PROBE_KEYS = {"name", "state", "hook", "reason", "runs", "run_ns"}


def sample(
    snapshot: Snapshot, limit: int | None = None, sort: str = "cpu", **query: Any
) -> dict[str, Any]:
    asked = RowQuery(by_name(sort), **query)
    line = sample_line(snapshot, asked, synthetic.OFFICE_CMDLINES, limit)
    assert line.endswith("\n") and line.count("\n") == 1 and line.isascii()
    found: dict[str, Any] = json.loads(line)
    return found


def by_pid(found: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {row["pid"]: row for row in found["processes"]}


def test_keys_are_those_of_the_interface() -> None:
    found = sample(synthetic.office())
    assert list(found) == TOP_KEYS
    assert set(found["system"]) >= SYSTEM_KEYS
    assert set(found["self"]) >= SELF_KEYS
    assert all(set(probe) >= PROBE_KEYS for probe in found["probes"])
    assert all(list(row) == list(PROCESS_KEYS) for row in found["processes"])
    assert found["time"] == "2023-11-14T22:13:20.250000Z"
    assert found["schema"] == 1 and found["type"] == "sample"


def test_what_has_no_probe_yet_is_null_or_empty() -> None:
    found = sample(synthetic.office())
    assert found["syscalls"] == found["connections"] == found["disks"] == []
    row = by_pid(found)[501]
    assert all(row[name] is None for name in PROCESS_KEYS if name.startswith("disk_"))
    for name in ("net_tx_bytes", "disk_reads", "cgroup"):
        assert row[name] is None


def test_waits_by_reason_add_up_to_all_time_off_the_cpu() -> None:
    found = sample(synthetic.office())
    for row in found["processes"]:
        if row["offcpu_ns"] is None:
            continue
        assert tuple(row["wait_ns"]) == REASONS
        assert sum(row["wait_ns"].values()) == row["offcpu_ns"]
    unknown = sample(synthetic.snapshot([synthetic.process(7, known=0)]))
    assert by_pid(unknown)[7]["wait_ns"] is None


def test_disks_and_what_processes_do_to_them() -> None:
    found = sample(synthetic.storing())
    busy, idle, of_proc = found["disks"]
    assert list(busy)[:9] == [
        "name", "read_bytes", "write_bytes", "reads", "writes", "latency_p50_ns",
        "latency_p99_ns", "queue_depth", "busy_percent",
    ]  # fmt: skip
    assert (busy["name"], busy["reads"], busy["busy_percent"]) == ("nvme0n1", 211, 97.0)
    assert (busy["latency_p50_ns"], busy["latency_avg_ns"]) == (700_000, 700_000)
    assert idle["reads"] == 0 and idle["latency_p99_ns"] is None
    assert of_proc["name"] == "vdb\x1b[2J" and of_proc["errors"] is None
    assert of_proc["reads"] == 7 and of_proc["busy_percent"] is not None
    rows = by_pid(found)
    reader, sleeper, thread = rows[501], rows[900], rows[901]
    assert (reader["disk_reads"], reader["disk_read_bytes"]) == (211, 211 << 14)
    assert reader["disk_latency_avg_ns"] == 90_000
    assert reader["disk_sequential_ratio"] == round(210 / 211, 6)
    assert rows[0]["comm"] == "[writeback]" and rows[0]["disk_writes"] == 41
    # no requests are a number, how long they took is not
    assert sleeper["disk_reads"] == 0 and sleeper["disk_latency_avg_ns"] is None
    assert thread["disk_reads"] is None


def test_unknown_is_null_never_zero() -> None:
    row = by_pid(sample(synthetic.office()))[800]
    known = {name for name, value in row.items() if value is not None}
    assert known == {"pid", "comm", "exited"}


def test_values_are_the_rows_own() -> None:
    row = by_pid(sample(synthetic.office()))[501]
    assert row["oncpu_ns"] == 981_000_000 and row["cpu_percent"] == 98.1
    assert row["user"] == "alice" and row["uid"] == 1000
    assert row["cmdline"] == "python3 -m http.server --bind 127.0.0.1"
    assert row["threads"] == 12 and row["exited"] is False and row["exit_code"] is None


def test_those_that_ended_have_the_code_that_a_shell_shows() -> None:
    rows = by_pid(sample(synthetic.office()))
    assert [rows[pid]["exit_code"] for pid in (600, 601, 602)] == [3, 0, 137]
    assert all(rows[pid]["exited"] and rows[pid]["state"] == "X" for pid in (600, 601, 602))
    assert rows[600]["cmdline"] == "sh -c exit 3"


def test_limit_sort_and_filter_apply() -> None:
    office = synthetic.office()
    assert [row["pid"] for row in sample(office, 2)["processes"]] == [501, 500]
    found = sample(office, sort="rss", reverse=True, filter=RowFilter.parse("nginx"))
    assert [row["pid"] for row in found["processes"]] == [413, 412]
    assert sample(office, 0)["processes"] == []


def test_threads_only_when_wanted() -> None:
    rows = [synthetic.running(501, b"python3", 10, tid=tid) for tid in (501, 502)]
    office = replace(synthetic.office(), threads=synthetic.table(rows))
    assert sample(office)["threads"] == []
    found = sample(office, threads=True)
    assert [row["tid"] for row in found["threads"]] == [501, 502]
    assert set(found["threads"][0]) == {*PROCESS_KEYS, "tid", "thread_comm", "process_comm"}
    assert len(found["processes"]) == len(office.processes)


def test_two_owners_of_one_pid_are_two_rows() -> None:
    rows = [synthetic.exited(9, b"old", start_ns=5), synthetic.running(9, b"new", 3, start_ns=7)]
    found = sample(synthetic.snapshot(rows))["processes"]
    assert {(row["pid"], row["start_ns"]) for row in found} == {(9, 5), (9, 7)}


def test_batch_has_a_line_a_process_under_bare_titles() -> None:
    lines = batch_text(synthetic.office(), ViewState(), synthetic.OFFICE_CMDLINES).split("\n")
    titles = next(at for at, text in enumerate(lines) if "RUNQ-WAIT" in text)
    assert lines[titles].split()[:3] == ["PID", "USER", "CPU%"]
    assert [int(text.split()[0]) for text in lines[titles + 1 : titles + 4]] == [501, 500, 412]
    assert lines[0].startswith("time 2023-11-14T22:13:20")


def test_batch_limit() -> None:
    text = batch_text(synthetic.office(), ViewState(), limit=1)
    assert "[python3]" in text and "[postgres]" not in text
