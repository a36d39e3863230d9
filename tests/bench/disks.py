# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Measures what a disk request costs in BPF, ebtop beside libbpf-tools' biolatency and biotop.

All see the same requests of the same fio: random reads past the page cache, 16 under way at once.
ebtop counts per disk and per process, from the queue and from the issue; so beside plain biolatency
(one histogram of all) stands the one with a histogram a disk. biotop is measured where it runs: it
needs functions to hook.
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
from ebtop.session import Session

REPEATS = 7
SECONDS = 2
MIB = 64
PEERS = {"biolatency": ["biolatency"], "biolatency -D": ["biolatency", "-D"]}
BIOTOP = ["biotop", "3600"]
FOLDER = "/var/tmp"
"""Not /tmp, which may lie in memory."""


def run(report: Report) -> None:
    report.heading(f"Time per disk request in BPF: fio randread, {REPEATS} repeats, ns")
    with ExitStack() as stack:
        stack.enter_context(bpf.statistics())
        path = stack.enter_context(_file())
        owners = {name: stack.enter_context(_peer(words)) for name, words in PEERS.items()}
        try:
            owners["biotop"] = stack.enter_context(_peer(BIOTOP))
        except SystemExit:
            report.say("biotop does not run here")
        before = set(bpf.programs())
        session = stack.enter_context(Session(["sched", "life", "tasks", "block"]))
        session.refresh()
        names = {program.name for program in session.programs() if program.probe == "block"}
        if not names:
            raise SystemExit("the probe of disk requests does not run here: see ebtop doctor")
        mine = {
            number: program for number, program in bpf.programs().items() if number not in before
        }
        owners["ebtop"] = {number for number, own in mine.items() if own["name"] in names}
        times: dict[str, Times] = {owner: {} for owner in owners}
        for _ in range(REPEATS):
            _count(owners, times, path)
    _tell(report, times)


def _tell(report: Report, times: dict[str, Times]) -> None:
    rows = [
        (owner, name, f"{median(values):.0f}", spread(values, "{:.0f}"))
        for owner, found in times.items()
        for name, values in sorted(found.items())
    ]
    report.table(("", "program", "ns a request", "spread"), rows)
    sums = {owner: median(map(sum, zip(*found.values()))) for owner, found in times.items()}
    for owner in PEERS:
        report.say(f"ebtop / {owner}: {ratio(sums['ebtop'], sums[owner]):.2f}")
    peers = sums["biolatency -D"] + sums.get("biotop", 0.0)
    what = "biolatency -D" + (" + biotop" if "biotop" in sums else "")
    report.goal(f"BPF per disk request: ebtop / ({what})", ratio(sums["ebtop"], peers), 0.8)


def _count(owners: dict[str, set[int]], times: dict[str, Times], path: str) -> None:
    """Adds to each program its time by requests, however often it ran for one."""
    before = bpf.programs()
    requests = _load(path)
    after = bpf.programs()
    for owner, ids in owners.items():
        for number in ids & set(after):
            took = after[number].get("run_time_ns", 0) - before[number].get("run_time_ns", 0)
            if took:
                times[owner].setdefault(after[number]["name"], []).append(took / requests)


def _load(path: str) -> int:
    """How many requests there were."""
    command = [
        "fio", "--name=load", f"--filename={path}", "--rw=randread", "--bs=4k", "--direct=1",
        "--ioengine=io_uring", "--iodepth=16", f"--runtime={SECONDS}", "--time_based",
        "--output-format=json",
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
        yield ids
