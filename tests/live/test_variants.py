# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Every variant of every probe, forced in turn, counts a known workload right on this kernel.

The variants come from the collector itself. What was loaded, attached and right is left for the
run over all kernels, which fails when a program was proven on none. A variant that this kernel
refuses is no failure unless it is one that must work wherever there is BTF.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Callable

import pytest
import results
from observe import named, row_of, start, until_done, value, watch, workload

from ebtop.calllines import unpack
from ebtop.layout import EVENT_TYPES
from ebtop.prototype import RAW_RESULT, Hook, Param
from ebtop.session import PROBES, Session, variants
from ebtop.snapshot import Filter, Program

MOST_INSTRUCTIONS = 100_000
HOOK = Hook("do_sys_openat2", (Param(), Param(text=True)), RAW_RESULT, slots=3, returns=True)
SPINE = {"sched", "life", "tasks"}
CASES = [(probe, number) for probe in PROBES for number in range(len(variants(probe)))]


def refusing(programs: list[str]) -> str:
    return ",".join(f"{program}:{errno.EINVAL}" for program in programs)


def better_ones(probe: str, number: int) -> list[str]:
    """Of each better variant, a program that this one does without."""
    own = variants(probe)[number]
    return [next(p for p in programs if p not in own) for programs in variants(probe)[:number]]


# ---- known work, by probe: an AssertionError when a number is wrong ----


def sched_is_right(session: Session, programs: set[str]) -> None:
    process = start("sleeps", "211")
    until_done(process)
    row = row_of(session.refresh(), process.pid)
    status = Path(f"/proc/{process.pid}/status").read_text()
    process.kill()
    process.wait()
    counts = dict(line.split(":\t") for line in status.splitlines() if "ctxt_switches" in line)
    assert row["voluntary_switches"] == int(counts["voluntary_ctxt_switches"]) >= 211
    assert row["involuntary_switches"] == int(counts["nonvoluntary_ctxt_switches"])
    assert row["offcpu_ns"] > 211 * 10_000 and value(row, "runq_wait_ns") is not None


def life_is_right(session: Session, programs: set[str]) -> None:
    command = [workload("spawn"), "101", workload("act"), "exit", "3"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    watch(session, 0.1)
    snapshot = session.refresh()
    rows = list(named(snapshot, b"act"))
    assert len(rows) == 101 and {row["exit_code"] for row in rows} == {3 << 8}
    args = [snapshot.text[row["text"] : row["text"] + row["text_bytes"]] for row in rows]
    expected = b"\0".join(word.encode() for word in command[2:]) + b"\0"
    assert set(args) == ({expected} if "exec_args_btf" in programs else {b""})


def tasks_is_right(session: Session, programs: set[str]) -> None:
    process = start("sleeps", "11")
    until_done(process)
    row = row_of(session.refresh(), process.pid)
    status = Path(f"/proc/{process.pid}/status").read_text()
    process.kill()
    process.wait()
    kib = {li.split(":")[0]: li.split()[1] for li in status.splitlines() if li.endswith("kB")}
    assert row["virtual_bytes"] == int(kib["VmSize"]) * 1024
    assert (row["ppid"], row["uid"], row["threads"]) == (os.getpid(), os.geteuid(), 1)
    if "tasks_bare_iter" in programs:
        assert value(row, "rss_bytes") is None
    else:
        # since 6.2 the kernel's counters lag by at most a batch a CPU, in three kinds
        lag = 3 * max(32, 2 * (os.cpu_count() or 1)) * (os.cpu_count() or 1) * 4096
        assert row["rss_bytes"] == pytest.approx(int(kib["VmRSS"]) * 1024, abs=lag)


def syscall_is_right(session: Session, programs: set[str]) -> None:
    session.set_filter(Filter(pid=os.getpid()))
    session.refresh()
    for _ in range(211):
        os.getpgid(0)
    for _ in range(101):
        with pytest.raises(OSError):
            os.rmdir("/no/such/folder")
    snapshot = session.refresh()
    from ebtop.syscallnames import name_of

    assert snapshot.syscalls is not None
    calls = {name_of(row["number"]): row for row in snapshot.syscalls.rows()}
    assert (calls["getpgid"]["calls"], calls["getpgid"]["errors"]) == (211, 0)
    assert (calls["rmdir"]["calls"], calls["rmdir"]["errors"]) == (101, 101)
    row = row_of(snapshot, os.getpid())
    assert row["syscalls"] >= 312 and row["syscall_errors"] >= 101
    assert row["user_ns"] + row["kernel_ns"] == row["oncpu_ns"]


def open_is_right(session: Session, programs: set[str]) -> None:
    session.set_filter(Filter(pid=os.getpid()))
    session.refresh()
    session.stream()
    for _ in range(101):
        os.close(os.open("/etc/hostname", os.O_RDONLY))
        with pytest.raises(FileNotFoundError):
            os.open(b"/no/such/\xff", os.O_RDWR)
    stream = session.stream()
    rows = [row for row in stream.events.rows() if EVENT_TYPES[row["type"]] == "open"]
    names = [stream.text[row["text"] : row["text"] + row["text_bytes"]] for row in rows]
    assert names == [b"/etc/hostname", b"/no/such/\xff"] * 101
    assert all(row["result"] >= 0 for row in rows[::2])
    assert {row["result"] for row in rows[1::2]} == {-errno.ENOENT}
    assert {row["open_flags"] & ~os.O_CLOEXEC for row in rows[1::2]} == {os.O_RDWR}


def kfunc_is_right(session: Session, programs: set[str]) -> None:
    session.set_filter(Filter(pid=os.getpid()))
    session.refresh()
    session.stream()
    for _ in range(101):
        os.close(os.open("/etc/hostname", os.O_RDONLY))
        with pytest.raises(FileNotFoundError):
            os.open(b"/no/such/\xff", os.O_RDWR)
    stream = session.stream()
    rows = [row for row in stream.events.rows() if EVENT_TYPES[row["type"]] == "kprobe"]
    calls = [unpack(row, stream.text) for row in rows]
    assert [call.texts[1] for call in calls] == [b"/etc/hostname", b"/no/such/\xff"] * 101
    assert all(row["result"] >= 0 for row in rows[::2])
    # an int on newer kernels: what the upper half of its register holds means nothing
    assert {row["result"] & 0xFFFFFFFF for row in rows[1::2]} == {-errno.ENOENT & 0xFFFFFFFF}
    assert not any(stream.lost.values())


ORACLES: dict[str, Callable[[Session, set[str]], None]] = {
    "sched": sched_is_right, "life": life_is_right, "tasks": tasks_is_right,
    "syscall": syscall_is_right, "open": open_is_right, "kfunc": kfunc_is_right,
}  # fmt: skip


def opened_with(probe: str) -> tuple[Session, list[Program], str]:
    """A session with the spine and that probe; its programs, and why it does not run."""
    session = Session(SPINE | {probe}, verifier_stats=True, hook=HOOK)
    (status,) = (s for s in session.refresh().probes if s.name == probe)
    return session, [p for p in session.programs() if p.probe == probe], status.reason or ""


@pytest.mark.parametrize("probe, number", CASES)
def test_variant_counts_known_work(
    probe: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = variants(probe)[number]
    monkeypatch.setenv("EBTOP_FAIL", refusing(better_ones(probe, number)))
    session, programs, reason = opened_with(probe)
    with session:
        found = {program.name for program in programs}
        if found != set(wanted):
            must = {p for p in wanted if p.endswith(("_btf", "_iter"))}
            assert not must, f"{wanted} does not run here: {reason}"
            return  # functions cannot be hooked here; another kernel has to prove it
        ORACLES[probe](session, found)
    for program in programs:
        assert program.instructions is not None
        assert program.instructions <= MOST_INSTRUCTIONS, program
        results.proven(probe, program.name, program.instructions)


def refusals() -> Iterator[tuple[str, tuple[str, ...]]]:
    for probe in PROBES:
        programs = sorted({p for variant in variants(probe) for p in variant})
        for chosen in product((False, True), repeat=len(programs)):
            yield probe, tuple(p for p, refused in zip(programs, chosen) if refused)


@pytest.mark.parametrize("probe", PROBES)
def test_the_best_variant_of_those_not_refused_is_chosen(
    probe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is refused. What this kernel itself refuses counts as refused."""
    monkeypatch.delenv("EBTOP_FAIL", raising=False)
    possible = []
    for number, variant in enumerate(variants(probe)):
        monkeypatch.setenv("EBTOP_FAIL", refusing(better_ones(probe, number)))
        session, programs, _ = opened_with(probe)
        session.close()
        possible += [variant] if {p.name for p in programs} == set(variant) else []
    for _, refused in (case for case in refusals() if case[0] == probe):
        monkeypatch.setenv("EBTOP_FAIL", refusing(list(refused)))
        session, programs, _ = opened_with(probe)
        session.close()
        left = [variant for variant in possible if not set(variant) & set(refused)]
        assert {p.name for p in programs} == set(left[0] if left else ())
