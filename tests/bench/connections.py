# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Measures what watching TCP connections costs: short ones, one that carries much, many idle ones.

Short ones beside libbpf-tools' tcplife and tcpstates, which see the same connections at the same
time; many idle ones beside `ss -tnpi`. The tools need tracefs; a private mount gives it to them.
Then bad days: a storm of ten seconds, and more sockets than there is room for.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from report import Report, median, ratio, spread

import bpf
from ebtop.sources.bpf import Session

HERE = Path(__file__).resolve().parent
PROBES = ("sched", "life", "tasks", "tcp")
PEERS = ("tcplife", "tcpstates")
REPEATS = 5
SHORT = 20_000
BULK_S = 1.0
BULK_REPEATS = 7
IDLE = 5_000
"""Connections, both of whose ends are here: 10,000 sockets."""
STORM_S = 10
HOLDERS, EACH = 11, 9_500
"""Processes that hold 100,000 connections between them: one may have 20,000 files open."""


def run(report: Report) -> None:
    with tempfile.TemporaryDirectory() as folder:
        connector = f"{folder}/connector"
        source = str(HERE / "connector.c")
        subprocess.run(["cc", "-O2", "-pthread", "-o", connector, source], check=True)
        _short(report, connector)
        _bulk(report, connector)
        _idle(report, connector)
        _storm(report, connector)
        _too_many(report, connector)


def _short(report: Report, connector: str) -> None:
    report.heading(f"Short connections: {SHORT} at 20,000 a second, {REPEATS} repeats, us in BPF")
    load = [connector, "short", str(SHORT), "20000"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(bpf.statistics())
        peers = {n: stack.enter_context(bpf.peer(bpf.with_tracefs([n]))) for n in PEERS}
        before = set(bpf.programs())
        session = stack.enter_context(Session(PROBES))
        ours = {p.name for p in session.programs() if p.probe == "tcp"}
        fresh = {i: p for i, p in bpf.programs().items() if i not in before}
        owners = {"ebtop": {i for i, p in fresh.items() if p.get("name") in ours}, **peers}
        session.refresh()
        times: dict[str, list[float]] = {owner: [] for owner in owners}
        for _ in range(REPEATS):
            began = {owner: bpf.run_ns(ids) for owner, ids in owners.items()}
            with _drained(session, load):
                pass
            for owner, ids in owners.items():
                times[owner].append((bpf.run_ns(ids) - began[owner]) / 1000 / SHORT)
        lost = session.refresh().self_cost.lost_total
    rows = [(o, f"{median(t):.2f}", spread(t, "{:.2f}")) for o, t in times.items()]
    report.table(("", "us a connection", "spread"), rows)
    report.say(f"Lost: {sum(lost.values())}. Writing their lines is not in the peers' times.")
    peer = sum(median(times[name]) for name in PEERS)
    what = "short connections: ebtop / (tcplife + tcpstates)"
    report.goal(what, ratio(median(times["ebtop"]), peer), 0.7)


@contextlib.contextmanager
def _drained(session: Session, load: list[str]) -> Iterator[None]:
    """The load, with its events read as a sampling command would."""
    process = subprocess.Popen(load, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        session.poll()
        time.sleep(0.02)
    assert process.returncode == 0
    yield


def _bulk(report: Report, connector: str) -> None:
    report.heading(f"One connection on the loopback, 128 KiB a write, {BULK_REPEATS} repeats, GB/s")
    speeds: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(BULK_REPEATS):
        for watched in (False, True):
            probes = PROBES if watched else PROBES[:-1]
            with Session(probes) as session:
                session.refresh()
                done = subprocess.run(
                    [connector, "bulk", str(BULK_S)], capture_output=True, text=True, check=True
                )
                speeds[watched].append(float(done.stdout) / 1e9)
    names = {False: "without the probe", True: "with it"}
    rows = [(names[w], f"{median(s):.2f}", spread(s, "{:.2f}")) for w, s in speeds.items()]
    report.table(("", "GB/s", "spread"), rows)
    report.goal("throughput lost", 1 - ratio(median(speeds[True]), median(speeds[False])), 0.02)


def _idle(report: Report, connector: str) -> None:
    report.heading(f"{2 * IDLE} idle connections: a refresh beside ss -tnpi, ms")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4 * IDLE, 4 * IDLE))
    process = subprocess.Popen([connector, "idle", str(IDLE)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith(b"ready")
        before = set(bpf.maps())
        with Session(PROBES) as session:
            made = [shape for number, shape in bpf.maps().items() if number not in before]
            times: dict[str, list[float]] = {"refresh": [], "ss -tnpi": []}
            for _ in range(REPEATS + 2):
                began = time.monotonic()
                snapshot = session.refresh()
                times["refresh"].append((time.monotonic() - began) * 1000)
                time.sleep(0.1)
            times["refresh"] = times["refresh"][2:]
            for _ in range(REPEATS):
                began = time.monotonic()
                subprocess.run(["ss", "-tnpi"], stdout=subprocess.DEVNULL, check=True)
                times["ss -tnpi"].append((time.monotonic() - began) * 1000)
            assert snapshot.connections is not None
            assert sum(row["sport"] > 0 for row in snapshot.connections.rows()) > 2 * IDLE
    finally:
        process.kill()
        process.wait()
    report.table(
        ("", "ms", "spread"), [(n, f"{median(t):.1f}", spread(t)) for n, t in times.items()]
    )
    own = median(times["refresh"])
    report.goal("refresh with 10,000 idle connections", own, 30, " ms")
    report.goal("the same / ss -tnpi", ratio(own, median(times["ss -tnpi"])), 0.2)
    size = sum(
        s.get("bytes_memlock", 0) for s in made if s.get("name") in ("connections", "tcp_slots")
    )
    report.goal("kernel memory for 65,536 connections", size / 2**20, 32, " MiB")


def _resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def _storm(report: Report, connector: str) -> None:
    """Refreshed once a second, as a dashboard does it."""
    count = 20_000 * STORM_S
    report.heading(f"A storm: {count} connections, 20,000 a second")
    with Session(PROBES) as session:
        session.refresh()
        before = _resident()
        began, cpu = time.monotonic(), time.process_time()
        load = [connector, "short", str(count), "20000"]
        process = subprocess.Popen(load, stdout=subprocess.PIPE)
        opened = accepted = 0
        most = 0.0
        while process.poll() is None or most == 0.0:
            end = time.monotonic() + 1
            while time.monotonic() < end:
                session.poll()
                time.sleep(0.02)
            started = time.monotonic()
            snapshot = session.refresh()
            most = max(most, (time.monotonic() - started) * 1000)
            for row in snapshot.processes.rows():
                if row["pid"] == process.pid:
                    opened += row["connections_opened"]
                    accepted += row["connections_accepted"]
        took, cpu = time.monotonic() - began, time.process_time() - cpu
        lost = session.refresh().self_cost.lost_total
        grown = _resident() - before
        assert snapshot.connections is not None
        rows = len(snapshot.connections)
    report.say(
        f"{count / took:.0f} a second; opened {opened}, accepted {accepted}, lost"
        f" {sum(lost.values())}; slowest refresh {most:.1f} ms; {cpu * 100 / took:.1f} % of a CPU;"
        f" {grown:.1f} MiB more"
    )
    report.goal("connections that a storm took from the count", 2 * count - opened - accepted, 0)
    report.goal("rows that it left", rows, 4096 + 64)


def _too_many(report: Report, connector: str) -> None:
    total = HOLDERS * EACH
    report.heading(f"{total} connections open, {2 * total} sockets")
    resource.setrlimit(resource.RLIMIT_NOFILE, (20_000, 20_000))
    holders = [
        subprocess.Popen([connector, "idle", str(EACH)], stdout=subprocess.PIPE)
        for _ in range(HOLDERS)
    ]
    rows, ports = [], {}
    try:
        for holder in holders:
            assert holder.stdout is not None
            ports[int(holder.stdout.readline().split()[1])] = holder.pid
        for room in (65_536, 262_144):
            rows.append(_crowded(room, ports))
    finally:
        for holder in holders:
            holder.kill()
            holder.wait()
    names = ("room", "shown", "wrong owners", "not shown, counted", "first ms", "refresh ms", "MiB")
    report.table(names, [tuple(map(str, row)) for row in rows])
    report.goal("owners that are wrong", sum(int(row[2]) for row in rows), 0)
    shown, counted = int(rows[0][1]), int(rows[0][3])
    listening = HOLDERS
    report.goal("neither shown nor counted", 2 * total + listening - shown - counted, 0)
    report.goal("all of them shown, refresh", float(rows[1][5]), 2000, " ms")


def _crowded(room: int, owners: dict[int, int]) -> tuple[object, ...]:
    os.environ["EBTOP_CONNECTIONS_MAX"] = str(room)
    before = _resident()
    try:
        with Session(PROBES) as session:
            began = time.monotonic()
            session.refresh()
            first = (time.monotonic() - began) * 1000
            times = []
            for _ in range(REPEATS):
                time.sleep(0.5)
                began = time.monotonic()
                snapshot = session.refresh()
                times.append((time.monotonic() - began) * 1000)
            grown = _resident() - before
    finally:
        del os.environ["EBTOP_CONNECTIONS_MAX"]
    assert snapshot.connections is not None
    table = snapshot.connections
    ends = zip(table.column("sport"), table.column("dport"), table.column("pid"))
    mine = [(owners.get(s) or owners[d], pid) for s, d, pid in ends if s in owners or d in owners]
    wrong = sum(pid != owner for owner, pid in mine)
    lost = snapshot.self_cost.lost_total["connections"]
    return room, len(mine), wrong, lost, f"{first:.0f}", f"{median(times):.1f}", f"{grown:.1f}"
