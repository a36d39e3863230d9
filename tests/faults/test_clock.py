# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The clock of the wall stepped by hours, in both directions, while ebtop samples: only the time of
day follows; intervals, rates, times and ages do not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from observe import opened, row_of, start, unexpected
from proof import process_of, sampling

from ebtop.model.eventlog import EventLog

pytestmark = pytest.mark.setting("plain")

HOURS = 7
SECONDS = HOURS * 3600


@pytest.fixture
def clock() -> Iterator[Any]:
    """Steps the clock; afterwards it is as it would have been."""
    ahead = 0

    def step(seconds: int) -> None:
        nonlocal ahead
        ahead += seconds
        time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)

    yield step
    step(-ahead)


def moment(sample: dict[str, Any]) -> float:
    return datetime.fromisoformat(sample["time"].replace("Z", "+00:00")).timestamp()


@pytest.mark.parametrize("direction", [1, -1])
def test_step_is_seen_in_the_time_of_day_alone(clock: Any, direction: int) -> None:
    spinner, sleeper = start("spin", "60000"), start("wait", "0")
    try:
        with sampling("-d", "0.5", "-n", "6") as samples:
            before = [samples.next(), samples.next()]
            clock(direction * SECONDS)
            after = [samples.next() for _ in range(3)]
    finally:
        for process in (spinner, sleeper):
            process.kill()
            process.wait()
    stepped = moment(after[0]) - moment(before[-1])
    assert stepped == pytest.approx(direction * SECONDS + after[0]["interval_s"], abs=2)
    for sample in (*before, *after):
        assert 0.05 < sample["interval_s"] < 5  # a late sample shortens the next interval
        interval_ns = sample["interval_s"] * 1e9
        for process in (spinner, sleeper):
            row = process_of(sample, process.pid)
            assert row is not None
            lived = row["oncpu_ns"] + row["offcpu_ns"] + row["runq_wait_ns"]
            assert lived == pytest.approx(interval_ns, rel=0.03)
            assert 0 <= row["cpu_percent"] <= 101
        assert 0 <= sample["system"]["cpu_percent"] <= sample["system"]["cpus"] * 101
        assert not unexpected(sample["self"]["lost"])


@pytest.mark.parametrize("direction", [1, -1])
def test_uptime_and_length_of_lives_are_not_stepped(clock: Any, direction: int) -> None:
    with opened() as session:
        process = start("spin", "400")
        clock(direction * SECONDS)
        process.wait()
        snapshot = session.refresh()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert snapshot.host.uptime_s == pytest.approx(uptime, abs=1)
    assert snapshot.time == pytest.approx(time.time(), abs=5)
    log = EventLog()
    log.absorb(snapshot)
    (line,) = [line for line in log.lines if (line.pid, line.type) == (process.pid, "exit")]
    assert 0.4 <= line.duration_ns / 1e9 < 5
    assert line.time == pytest.approx(time.time(), abs=5)
    row = row_of(snapshot, process.pid, gone=True)
    assert row["start_ns"] / 1e9 == pytest.approx(uptime, abs=5)
