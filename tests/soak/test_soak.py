# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""A dashboard and a `--json` under load for a long time: nothing grows, and the counts are right.

`make soak` runs it for an hour, a guest for ten minutes ($EBTOP_SOAK_SECONDS: how long).
The load runs once; the tests look at what was seen.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import SETTING, why_no_live
from judging import MIB, Agreement, growths, table
from results import FOLDER, fact
from soaking import PROCESSES, Soak, soak

SECONDS = float(os.environ.get("EBTOP_SOAK_SECONDS") or 600)
HELD = ("resident", "descriptors", "threads", "map bytes")
WARNING = 4
AT_A_TIME = 10
"""What else may begin or end on the machine between two readings of one thing."""


@pytest.fixture(scope="module")
def seen(request: pytest.FixtureRequest) -> Iterator[Soak]:
    assert not why_no_live(), why_no_live()
    folder = Path(tempfile.mkdtemp(prefix="ebtop-soak-"))
    file = folder / "soak.csv"
    before = request.session.testsfailed
    good = False
    try:
        found = soak(SECONDS, file)
        text = summary(found)
        fact(f"a soak of {SECONDS:.0f} s", in_one_line(found))
        print(f"\n{text}")
        yield found
        good = request.session.testsfailed == before
    finally:
        if good:
            shutil.rmtree(folder)
        else:
            kept = FOLDER / "soak.csv" if FOLDER else file
            if FOLDER and file.exists():
                shutil.copy(file, kept)
            print(f"\nevery second of it: {kept}")


def summary(found: Soak) -> str:
    rows: list[tuple[object, ...]] = [("", "after a minute", "at the end", "most", "grown", "may")]
    for row in growths(found.samples, [f"{p} {what}" for p in PROCESSES for what in HELD]):
        scale, unit = (MIB, " MiB") if row.limit or "bytes" in row.name else (1, "")
        numbers = (row.first, row.last, row.most, row.grown, row.limit)
        rows.append((row.name, *(f"{number / scale:.4g}{unit}" for number in numbers)))
    for name in ("live threads", "dashboard slots used", "json slots used"):
        row = growths(found.samples, [name])[0]
        rows.append((name, row.first, row.last, row.most, row.grown, "-"))
    counts: list[tuple[object, ...]] = [("", "kernel", "ebtop", "lost", "in neither", "may")]
    for pair in (switches(found), births(found), slots_taken(found)):
        limit = f"{pair.tolerance:.1%}"
        counts.append((pair.what, pair.kernel, pair.counted, pair.lost, pair.missing, limit))
    lost = {cause: count for cause, count in found.lost.items() if count}
    return "\n".join(
        [table(rows), "", table(counts), f"lost, by cause: {lost or 'nothing'}",
         *(f"kernel log: {line}" for line in found.log)]
    )  # fmt: skip


def in_one_line(found: Soak) -> str:
    grown = growths(found.samples, [f"{process} resident" for process in PROCESSES])
    memory = ", ".join(f"{row.name} {row.grown / MIB:+.2f} MiB" for row in grown)
    pairs = (f"{row.what} {row.missing} of {row.kernel} uncounted"
             for row in (switches(found), births(found)))  # fmt: skip
    return f"{memory}; {', '.join(pairs)}; {sum(found.lost.values())} counted as lost"


def total(found: Soak, name: str) -> int:
    return sum(sample[name] for sample in found.system)


def switches(found: Soak) -> Agreement:
    kernel = found.after["ctxt"] - found.before["ctxt"]
    counted = total(found, "context_switches")
    # the two are read some milliseconds apart, while others switch
    return Agreement("context switches", kernel, counted, 0, 0.001, at_least=2000)


def births(found: Soak) -> Agreement:
    """The kernel counts threads among them. The load makes none; others on the machine may."""
    kernel = found.after["processes"] - found.before["processes"]
    tolerance = 0.01 if SETTING else 0.5
    return Agreement("processes started", kernel, total(found, "started"), found.lost["forks"],
                     tolerance)  # fmt: skip


def slots_taken(found: Soak) -> Agreement:
    """Those born while ebtop watched, and those from before that had not run since it began."""
    kernel = found.after["born"] - found.before["born"]
    slots = found.after["slots"] - found.before["slots"]
    return Agreement("slots for those", kernel, slots, found.lost["thread_slots"], 0.002,
                     at_least=200)  # fmt: skip


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("what", HELD)
def test_nothing_grows(seen: Soak, process: str, what: str) -> None:
    row = growths(seen.samples, [f"{process} {what}"])[0]
    assert row.good, row


@pytest.mark.parametrize("session", ["dashboard", "json"])
def test_slots_of_ended_threads_are_given_back(seen: Soak, session: str) -> None:
    assert not seen.stale_slots[session]


def test_context_switches_are_the_kernels(seen: Soak) -> None:
    row = switches(seen)
    assert row.kernel > 1000 * SECONDS / 60
    assert row.good or seen.lost["thread_slots"], row


def test_started_processes_are_the_kernels(seen: Soak) -> None:
    row = births(seen)
    assert row.kernel > 100 * SECONDS / 60
    assert row.good, row
    assert row.missing >= -row.at_least


def test_every_birth_of_a_thread_took_a_slot(seen: Soak) -> None:
    row = slots_taken(seen)
    assert row.good, row


def test_what_started_has_ended_or_is_there(seen: Soak) -> None:
    change = total(seen, "started") - total(seen, "exited")
    lost = seen.lost["forks"] + seen.lost["ring_buffer"]
    assert abs(change - (seen.after["alive"] - seen.before["alive"])) <= lost + AT_A_TIME
    assert abs(seen.at_rest["seen"] - seen.at_rest["there"]) <= lost + AT_A_TIME


def test_no_interval_has_more_time_than_there_was(seen: Soak) -> None:
    assert max(s["cpu_percent"] for s in seen.system) <= 100.5 * seen.system[0]["cpus"]


def test_kernel_warns_of_nothing(seen: Soak) -> None:
    assert not [line for line in seen.log if int(line[0]) <= WARNING]


def test_both_end_in_good_order(seen: Soak) -> None:
    assert seen.ends["dashboard"][0] == 0
    assert seen.ends["json"][0] in (0, 130) and not seen.ends["json"][1]
