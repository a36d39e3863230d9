# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Measures what a disk request costs in BPF: ebtop, and libbpf-tools' biolatency and biotop.

Each watches alone, in turn, round by round, for who comes second on a hook finds in the cache what
the first has fetched. The requests are those of fio: random reads past the page cache, 16 under way
at once. ebtop counts per disk and per process, from the queue and from the issue; so beside plain
biolatency (one histogram of all) stands the one with a histogram a disk. biotop is measured where
it runs: it needs functions to hook.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Iterator

from report import Report, median, ratio, spread
from switch import Times

import bpf
from ebtop.sources.bpf import Session

ROUNDS = 5
SECONDS = 2
MIB = 64
EBTOP = "ebtop"
PEERS = {
    "biolatency": ["biolatency"],
    "biolatency -D": ["biolatency", "-D"],
    "biotop": ["biotop", "3600"],
}
FOLDER = "/var/tmp"
"""Not /tmp, which may lie in memory."""


def run(report: Report) -> None:
    report.heading(f"Time per disk request in BPF: fio randread, {ROUNDS} rounds, ns")
    times: dict[str, Times] = {owner: {} for owner in (EBTOP, *PEERS)}
    with bpf.statistics(), _file() as path:
        for _ in range(ROUNDS):
            for owner in list(times):
                try:
                    _watch(owner, times[owner], path)
                except SystemExit as error:
                    if owner != "biotop":
                        raise
                    report.say(f"biotop does not run here: {error}")
                    del times[owner]
    _tell(report, times)


def _watch(owner: str, times: Times, path: str) -> None:
    with ExitStack() as stack:
        if owner == EBTOP:
            ids = stack.enter_context(_ebtop())
        else:
            ids = stack.enter_context(_peer(PEERS[owner]))
        _load(path, 0.3)
        _count(ids, times, path)


@contextmanager
def _ebtop() -> Iterator[set[int]]:
    before = set(bpf.programs())
    with Session(["sched", "life", "tasks", "block"]) as session:
        session.refresh()
        names = {program.name for program in session.programs() if program.probe == "block"}
        if not names:
            raise SystemExit("the probe of disk requests does not run here: see ebtop doctor")
        found = bpf.programs()
        yield {n for n in set(found) - before if found[n]["name"] in names}


def _tell(report: Report, times: dict[str, Times]) -> None:
    for owner in [owner for owner, found in times.items() if not found]:
        report.say(f"{owner} was told of no request here")
        del times[owner]
    rows = [
        (owner, name, f"{median(values):.0f}", spread(values, "{:.0f}"))
        for owner, found in times.items()
        for name, values in sorted(found.items())
    ]
    report.table(("", "program", "ns a request", "spread"), rows)
    # what runs for a few requests only, such as a merge, is not in every round
    sums = {owner: sum(sum(values) / ROUNDS for values in found.values())
            for owner, found in times.items()}  # fmt: skip
    for owner in times:
        if owner != EBTOP:
            report.say(f"ebtop / {owner}: {ratio(sums[EBTOP], sums[owner]):.2f}")
    peers = sums["biolatency -D"] + sums.get("biotop", 0.0)
    what = "biolatency -D" + (" + biotop" if "biotop" in sums else "")
    report.goal(f"BPF per disk request: ebtop / ({what})", ratio(sums[EBTOP], peers), 0.8)


def _count(ids: set[int], times: Times, path: str) -> None:
    """Adds to each program its time by requests, however often it ran for one."""
    before = bpf.programs()
    requests = _load(path, SECONDS)
    after = bpf.programs()
    for number in ids & set(after):
        took = after[number].get("run_time_ns", 0) - before[number].get("run_time_ns", 0)
        if took:
            times.setdefault(after[number]["name"], []).append(took / requests)


def _load(path: str, seconds: float) -> int:
    """How many requests there were."""
    command = [
        "fio", "--name=load", f"--filename={path}", "--rw=randread", "--bs=4k", "--direct=1",
        "--ioengine=io_uring", "--iodepth=16", f"--runtime={int(seconds * 1000)}ms",
        "--time_based", "--output-format=json",
    ]  # fmt: skip
    said = subprocess.run(command, capture_output=True, check=True).stdout
    return int(json.loads(said)["jobs"][0]["read"]["total_ios"])


@contextmanager
def _file() -> Iterator[str]:
    with tempfile.NamedTemporaryFile(dir=FOLDER, prefix="ebtop-bench-") as file:
        subprocess.run(
            ["dd", "if=/dev/urandom", f"of={file.name}", "bs=1M", f"count={MIB}", "conv=fsync"],
            check=True, capture_output=True,
        )  # fmt: skip
        yield str(Path(file.name))


@contextmanager
def _peer(words: list[str]) -> Iterator[set[int]]:
    tool = shutil.which(words[0], path=bpf.PATH) or shutil.which(f"bpf-{words[0]}", path=bpf.PATH)
    if not tool:
        raise SystemExit(f"there is no {words[0]}: apt-get install libbpf-tools")
    with bpf.peer([tool, *words[1:]]) as ids:
        found = bpf.programs()
        # others may load programs meanwhile
        yield {number for number in ids if found[number]["name"].startswith(("block_", "blk_"))}
