# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the report of `ebtop run` as text: a summary, where the time went, and who took most of it.

What it is made of is run_json.py's. A figure that is not counted says so: ~ in front of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from ebtop import units
from ebtop.model import disk_table
from ebtop.model.connection_table import LISTEN, counted, place, rtt_ns, state_text
from ebtop.model.stacks import frames
from ebtop.model.syscall_table import call_name, order, percentiles
from ebtop.model.waitreasons import REASONS
from ebtop.outputs.eventlines import signal_name
from ebtop.outputs.run_json import Run, disk_rows, file_rows, wait_rows
from ebtop.text import displayable, fit

_TOP = 10
_LABEL = 26
_STACK = 120


def text_report(run: Run, ascii: bool) -> str:
    total = run.total()
    figures = run.figures(total)
    lines = [*_summary(run, total, figures, ascii), *_times(run, total, figures, ascii)]
    lines += [*_processes(run, ascii), *_syscalls(run, ascii), *_rest(total, figures)]
    lines += [*_files(run, ascii), *_connections(run, ascii), *_disks(run, ascii)]
    lines += [*_waits(run, ascii), *_foot(run, ascii)]
    return "".join(line.rstrip() + "\n" for line in lines)


def _line(label: str, value: str, note: str = "") -> str:
    return f"  {fit(label, _LABEL)} {value}{'  ' + note if note else ''}"


def _of(total: dict[str, Any], figures: dict[str, str], key: str, write: Any) -> str:
    value = total.get(key)
    if value is None:
        return units.UNKNOWN
    return ("~" if figures.get(key) == "sampled" else "") + str(write(value))


def _ended(run: Run) -> str:
    code = run.exit_code
    if code is None:
        return "runs on"
    if code > 128:
        return f"{code} ({signal_name(code - 128)})"
    return str(code)


def _summary(
    run: Run, total: dict[str, Any], figures: dict[str, str], ascii: bool
) -> Iterator[str]:
    words = " ".join(displayable(word, ascii) for word in run.words)
    yield f"ebtop run: {words or 'process ' + str(run.tree.pid)}"
    yield _machine(run.machine)
    yield _line("exit status", _ended(run))
    yield _line("elapsed", units.latency(run.duration_ns, ascii))
    for label, key, write in (
        ("user time", "user_ns", _time(ascii)),
        ("kernel time", "kernel_ns", _time(ascii)),
        ("CPU", "cpu_percent", lambda value: units.percent(value) + "%"),
        ("peak memory, all at once", "peak_rss_bytes", units.size),
        ("memory mapped", "allocated_bytes", units.size),
        ("memory unmapped", "freed_bytes", units.size),
        ("page faults, no disk", "minor_faults", str),
        ("page faults, disk", "major_faults", str),
        ("voluntary switches", "voluntary_switches", str),
        ("involuntary switches", "involuntary_switches", str),
        ("moves to another CPU", "migrations", str),
    ):
        yield _line(label, _of(total, figures, key, write))
    if run.usage is not None:
        yield _line("largest process", _largest(run))
    running = run.still_running()
    note = f"{running} still running" if running else ""
    count = str(total["processes"])
    yield _line("processes", count if run.exact else "~" + count, note)


def _largest(run: Run) -> str:
    usage = run.usage
    assert usage is not None
    if usage.peak_rss_bytes <= run.tree.floor_rss_bytes:
        return "at most " + units.size(usage.peak_rss_bytes)
    return units.size(usage.peak_rss_bytes)


def _time(ascii: bool) -> Any:
    return lambda ns: units.latency(ns, ascii)


def _times(run: Run, total: dict[str, Any], figures: dict[str, str], ascii: bool) -> Iterator[str]:
    """The time of all threads together: on a CPU, waiting for a CPU, and waiting for something
    else."""
    yield ""
    yield "where the time went (all threads, summed)"
    parts = [("on a CPU", total["oncpu_ns"], "oncpu_ns"),
             ("waiting for a CPU", total["runq_wait_ns"], "runq_wait_ns")]  # fmt: skip
    waits = total.get("wait_ns") or {}
    if waits:
        names = sorted(waits, key=lambda name: -(waits[name] or 0))
        parts += [("off: " + name, waits[name], "wait_ns") for name in names]
    else:
        parts.append(("off the CPU", total["offcpu_ns"], "offcpu_ns"))
    whole = sum(value for _, value, _ in parts if value)
    for label, value, key in parts:
        if value is None:
            yield _line(label, units.UNKNOWN)
        elif value or not key.startswith("wait"):
            mark = "~" if figures.get(key) == "sampled" else ""
            share = f"{value * 100 / whole:5.1f}%" if whole else ""
            yield _line(label, (mark + units.latency(value, ascii)).rjust(7), share)


def _processes(run: Run, ascii: bool) -> Iterator[str]:
    top = sorted(run.processes(), key=lambda one: -(one["oncpu_ns"] or 0))[:_TOP]
    yield ""
    yield "processes with most time on a CPU"
    yield "      PID  STATUS  ON-CPU    WAIT    PEAK  COMMAND"
    for one in top:
        status = "runs" if not one["exited"] else _plain(one["exit_code"])
        cells = (
            str(one["pid"]).rjust(9),
            status.rjust(6),
            _cell(one["oncpu_ns"], _time(ascii)),
            _cell(one["runq_wait_ns"], _time(ascii)),
            _cell(one["peak_rss_bytes"], units.size),
        )
        name = one["cmdline"] or f"[{one['comm']}]"
        yield "  ".join(cells) + "  " + displayable(name, ascii)[:60]


def _plain(value: Optional[int]) -> str:
    return units.UNKNOWN if value is None else str(value)


def _cell(value: Optional[int], write: Any) -> str:
    return (units.UNKNOWN if value is None else str(write(value))).rjust(6)


def _syscalls(run: Run, ascii: bool) -> Iterator[str]:
    table = run.last.syscalls
    yield ""
    if table is None:
        yield "system calls: not known here"
        return
    rows = [table.row(index) for index in order(table, "total")]
    calls, errors = sum(r["calls"] for r in rows), sum(r["errors"] for r in rows)
    yield f"system calls: {calls}, {errors} with an error"
    yield "  CALL                  CALLS  ERRORS   TOTAL     P50     P99"
    for row in rows[:_TOP]:
        marks = percentiles(row)
        times = [row["total_ns"], marks.get("p50"), marks.get("p99")]
        shown = "  ".join(_cell(ns, _time(ascii)) for ns in times)
        numbers = f"{units.count(row['calls']):>8}  {units.count(row['errors']):>6}  {shown}"
        yield f"  {fit(call_name(row), 18)} {numbers}"


def _rest(total: dict[str, Any], figures: dict[str, str]) -> Iterator[str]:
    yield ""
    yield "files, disks, network"
    for label, key, write in (
        ("files opened", "opens", str),
        ("read from files", "file_read_bytes", units.size),
        ("written to files", "file_write_bytes", units.size),
        ("read from disks", "disk_read_bytes", units.size),
        ("written to disks", "disk_write_bytes", units.size),
        ("received", "net_rx_bytes", units.size),
        ("sent", "net_tx_bytes", units.size),
        ("connections begun", "connections_opened", str),
        ("connections accepted", "connections_accepted", str),
    ):
        yield _line(label, _of(total, figures, key, write))


def _files(run: Run, ascii: bool) -> Iterator[str]:
    """Those with most bytes."""
    rows = file_rows(run.last)
    if not rows:
        return
    yield ""
    yield f"files read and written: {len(rows)}"
    yield "    READ   CALLS  WRITTEN   CALLS  FILE"
    for row in rows[:_TOP]:
        reads = f"{units.size(row['read_bytes']):>6}  {units.count(row['reads']):>6}"
        writes = f"{units.size(row['write_bytes']):>7}  {units.count(row['writes']):>6}"
        yield f"  {reads}  {writes}  {displayable(row['path'], ascii) or units.UNKNOWN}"


def _waits(run: Run, ascii: bool) -> Iterator[str]:
    """Those that took longest."""
    rows = wait_rows(run.last)
    if not rows:
        return
    yield ""
    yield "waits of 50 us and more, by kernel stack"
    yield "    TIME   WAITS  WHY        STACK"
    for row in rows[:_TOP]:
        stack = " < ".join(displayable(name, ascii) for name in frames(row, run.last.symbols))
        numbers = f"{units.duration(row['ns']):>6}  {units.count(row['count']):>6}"
        yield f"  {numbers}  {REASONS[row['reason']]:<9}  {fit(stack, _STACK)}"


def _connections(run: Run, ascii: bool) -> Iterator[str]:
    """Those that carried most."""
    rows = [row for row in run.tree.connection_rows() if row["state"] != LISTEN]
    if not rows:
        return
    rows.sort(key=lambda row: -((counted(row, "tx_bytes") or 0) + (counted(row, "rx_bytes") or 0)))
    yield ""
    yield f"connections: {len(rows)}"
    yield "       PID    SENT  RECEIVED     RTT  STATE               TO"
    for row in rows[:_TOP]:
        cells = (
            str(row["pid"]).rjust(8),
            _cell(counted(row, "tx_bytes"), units.size),
            _cell(counted(row, "rx_bytes"), units.size).rjust(8),
            _cell(rtt_ns(row), _time(ascii)),
            fit(state_text(row), 18),
        )
        yield "  " + "  ".join(cells) + "  " + place(row, "daddr")


def _disks(run: Run, ascii: bool) -> Iterator[str]:
    whole = run.whole()
    rows = list(disk_rows(whole))
    if not rows:
        return
    yield ""
    yield "disks (the machine's, while it ran)"
    yield "  DISK                READ   WRITTEN    READS   WRITES     P99   BUSY"
    for row in rows[:_TOP]:
        one = disk_table.values(row, whole.counted_s)
        cells = (
            fit(displayable(row["name"], ascii), 16),
            _cell(one["read_bytes"], units.size).rjust(6),
            _cell(one["write_bytes"], units.size).rjust(8),
            _cell(one["reads"], units.count).rjust(7),
            _cell(one["writes"], units.count).rjust(7),
            _cell(one["latency_p99_ns"], _time(ascii)),
            _cell(one["busy_percent"], lambda value: units.percent(value) + "%").rjust(5),
        )
        yield "  " + "  ".join(cells)


def _foot(run: Run, ascii: bool) -> Iterator[str]:
    yield ""
    lost = {cause: count for cause, count in run.lost.items() if count}
    if lost:
        yield "not counted: " + ", ".join(f"{count} {cause}" for cause, count in lost.items())
    if not run.exact:
        yield "~ sampled from /proc: what lived shorter than a look is in no row; - not known here"
    yield from _measured(run, ascii)


def _machine(machine: dict[str, Any]) -> str:
    model = displayable(machine["cpu_model"] or "CPU")
    limits = "".join(
        f", {name} {displayable(machine[key])}"
        for name, key in (("cpu.max", "cgroup_cpu_max"), ("memory.max", "cgroup_memory_max"))
        if machine[key]
    )
    governor = f", {displayable(machine['governor'])}" if machine["governor"] else ""
    return f"Linux {displayable(machine['kernel'])}, {machine['cpus']} x {model}{governor}{limits}"


def _measured(run: Run, ascii: bool) -> Iterator[str]:
    """The source of the measurement, and its cost."""
    cost = run.cost
    spent = "-" if cost.probe_ns is None else units.latency(cost.probe_ns, ascii)
    if run.exact:
        yield f"probes, {spent} in all; ebtop itself {units.latency(cost.cpu_ns, ascii)}"
    for probe in run.last.probes:
        if probe.state == "on":
            yield f"  {fit(displayable(probe.name), 8)} {displayable(probe.hook, ascii)}"
        elif probe.state != "off":
            reason = displayable(probe.reason or "", ascii)
            yield f"  {fit(displayable(probe.name), 8)} {probe.state}: {reason}"
