# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""CPUs that could be there and are not, and one that goes and comes back under load."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from observe import opened, row_of, start, unexpected, value, watch
from proof import KERNEL, proves_exact, sampling
from running import ebtop

from ebtop.model.layout import COUNTERS
from ebtop.sources.host import online_cpus
from ebtop.sources.procparse import CPU_PARTS

pytestmark = pytest.mark.setting("hotplug")

SWITCH = Path("/sys/devices/system/cpu/cpu1/online")
TIMES = 23


@pytest.fixture(autouse=True)
def both() -> Iterator[None]:
    yield
    switch(True)


def switch(on: bool) -> None:
    if SWITCH.read_text().strip() != str(int(on)):
        SWITCH.write_text(str(int(on)))


def listed(frame: str) -> list[int]:
    """The CPUs that the header has bars of."""
    return [int(number) for number in re.findall(r"(?:^|\] )(\d+)\[", frame, re.MULTILINE)]


def test_cpus_that_are_possible_but_absent_are_neither_listed_nor_missed() -> None:
    # since 6.9 those that the firmware has not enabled do not count as possible
    possible = Path("/sys/devices/system/cpu/possible").read_text()
    assert possible == "0-3\n" or (KERNEL >= (6, 9) and possible == "0-1\n")
    assert online_cpus() == [0, 1]
    with opened() as session:
        snapshot = proves_exact(session)
    assert [row["cpu"] for row in snapshot.cpus.rows()] == [0, 1]
    assert snapshot.host.cpus == 2 and snapshot.system.cpu_percent <= 201
    assert listed(ebtop("--once", "--size", "120x30").stdout.decode()) == [0, 1]


def test_cpu_that_is_off_from_the_start_comes_and_is_counted() -> None:
    switch(False)
    with opened() as session:
        snapshot = proves_exact(session)
        assert [row["cpu"] for row in snapshot.cpus.rows()] == [0]
        assert listed(ebtop("--once", "--size", "120x30").stdout.decode()) == [0]
        switch(True)
        spinner = start("spin", "20000")
        subprocess.run(["taskset", "-p", "-c", "1", str(spinner.pid)], check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        watch(session, 0.5)
        session.refresh()
        watch(session, 1)
        snapshot = session.refresh()
        row = row_of(snapshot, spinner.pid)
        spinner.kill()
        spinner.wait()
        cpus = {cpu["cpu"]: cpu for cpu in snapshot.cpus.rows()}
        assert sorted(cpus) == [0, 1]
        assert row["oncpu_ns"] > 0.5e9
        busy_ns = sum(cpus[1][n + "_ns"] for n in CPU_PARTS if n not in ("idle", "iowait"))
        assert cpus[1]["known"] and busy_ns >= row["oncpu_ns"] * 0.97 - 20_000_000
        proves_exact(session)


def test_totals_grow_steadily_while_a_cpu_goes_and_comes_under_load() -> None:
    workers = [start("spin", "300000"), start("spin", "300000"), start("sleeps", "10000000")]
    try:
        with opened() as session:
            session.refresh(reset=True)
            totals = {process.pid: dict.fromkeys(COUNTERS, 0) for process in workers}
            for round in range(2 * TIMES):
                switch(bool(round % 2))
                watch(session, 0.05)
                snapshot = session.refresh(cumulative=True)
                assert [r["cpu"] for r in snapshot.cpus.rows()] == online_cpus()
                for pid, before in totals.items():
                    row = row_of(snapshot, pid)
                    now = {name: value(row, name) for name in COUNTERS}
                    back = {n for n in COUNTERS if now[n] is not None and now[n] < before[n]}
                    assert not back, (back, before, now)
                    before.update((n, v) for n, v in now.items() if v is not None)
                    lived = row["oncpu_ns"] + row["offcpu_ns"] + row["runq_wait_ns"]
                    assert lived / 1e9 == pytest.approx(snapshot.counted_s, rel=0.02, abs=0.02)
            assert not any(snapshot.self_cost.lost_total.values())
            for worker in workers:
                worker.kill()
                worker.wait()
            proves_exact(session)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def test_samples_go_on_while_a_cpu_goes_and_comes() -> None:
    spinner = start("spin", "60000")
    try:
        with sampling("-d", "0.3") as samples:
            samples.next()
            for on in (False, True, False, True):
                switch(on)
                time.sleep(0.1)
                samples.next()
                found = samples.next()
                stopper = [p for p in found["processes"] if p["comm"] == "migration/1"]
                assert len(stopper) == 1 and stopper[0]["cpu_percent"] < 20
                assert found["system"]["cpus"] == 1 + on
                assert 0 <= found["system"]["cpu_percent"] <= 101 * (1 + on)
                assert not unexpected(found["self"]["lost"])
    finally:
        spinner.kill()
        spinner.wait()
