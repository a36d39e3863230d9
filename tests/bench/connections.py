# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Measures what watching TCP connections costs: short ones, one that carries much, many idle ones.

Short ones beside libbpf-tools' tcplife and tcpstates, which see the same connections at the same
time; many idle ones beside `ss -tnpi`. The tools need tracefs; a private mount gives it to them.
"""

from __future__ import annotations

import contextlib
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from report import Report, median, ratio, spread

import bpf
from ebtop.session import Session

HERE = Path(__file__).resolve().parent
PROBES = ("sched", "life", "tasks", "tcp")
PEERS = ("tcplife", "tcpstates")
REPEATS = 5
SHORT = 20_000
BULK_S = 1.0
BULK_REPEATS = 7
IDLE = 5_000
"""Connections, both of whose ends are here: 10,000 sockets."""


def run(report: Report) -> None:
    with tempfile.TemporaryDirectory() as folder:
        connector = f"{folder}/connector"
        source = str(HERE / "connector.c")
        subprocess.run(["cc", "-O2", "-pthread", "-o", connector, source], check=True)
        _short(report, connector)
        _bulk(report, connector)
        _idle(report, connector)


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
        assert process.stdout.readline() == b"ready\n"
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
