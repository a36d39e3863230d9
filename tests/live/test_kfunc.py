# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""`ebtop kprobe`: every call of a function has its line, with what it was given and what it gave.

Where functions cannot be hooked at all, that is what it says, and nothing else can be tested.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from following import Event, Follower, lost
from running import NOBODY, command, ebtop, said, why_not_as_nobody

from ebtop.model.prototype import RAW_RESULT, Hook
from ebtop.sources.bpf import Session
from ebtop.sources.kallsyms import read

OPEN = "do_sys_openat2"
WORKER = """
import os, sys, time
def opens():
    for word in (b"/etc/hostname", b"/no/such/\\xff\\n"):
        try: os.close(os.open(word, os.O_RDONLY))
        except OSError: pass
print("ready", flush=True)
for line in sys.stdin.buffer:
    word, number = line.split()
    for _ in range(int(number)):
        if word == b"open": opens()
        else: time.sleep(0.02)
    print("done", flush=True)
"""


def why_no_hooks() -> str:
    """Why this kernel lets no function be hooked; empty when it does."""
    hook = Hook(OPEN, (), RAW_RESULT, slots=3, returns=True)
    with Session(("sched", "kfunc"), hook=hook) as session:
        (status,) = (p for p in session.refresh().probes if p.name == "kfunc")
        return status.reason or ""


@pytest.fixture(scope="module")
def hooks() -> bool:
    return not why_no_hooks()


class Worker:
    """A process that calls when told to, and nothing besides."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([sys.executable, "-c", WORKER], stdin=pipe, stdout=pipe)
        self.pid = self.process.pid
        assert self.process.stdout.readline() == b"ready\n"

    def do(self, word: str, number: int) -> None:
        self.process.stdin.write(f"{word} {number}\n".encode())
        self.process.stdin.flush()
        assert self.process.stdout.readline() == b"done\n"


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.process.kill()
    worker.process.communicate()


VARIANTS = {"fentry": "", "kprobe": "func_fentry:1,bare_fentry:1"}


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, hooks: bool) -> str:
    """Each way to hook, forced."""
    monkeypatch.setenv("EBTOP_FAIL", VARIANTS[request.param])
    if hooks and why_no_hooks():
        return ""  # lockdown lets the one way work and not the other
    return str(request.param) if hooks else ""


def followed(worker: Worker, *words: str, work: str = "open", number: int = 101) -> list[Event]:
    """What is said of so many rounds of work, without the marks before it."""
    with Follower(lambda: worker.do(work, 1), "kprobe", "--json", "-p", str(worker.pid), *words) \
            as follower:  # fmt: skip
        seen = len(follower.data)
        worker.do(work, number)
        events = follower.end()
    marks = follower.data[:seen].count(b"\n")
    return events[marks:]


def test_every_open_is_a_call_with_its_name(variant: str, worker: Worker) -> None:
    if not variant:
        return
    events = followed(worker, OPEN, "--ret")
    assert lost(events) == 0 and len(events) == 202
    assert [event["arg_strings"][1] for event in events] == [
        "/etc/hostname",
        "/no/such/\\xff\n",
    ] * 101
    assert {event["result"] for event in events[1::2]} == {-errno.ENOENT}
    assert all(event["result"] >= 0 for event in events[::2])
    assert {event["args"][0] for event in events} == {-100}
    for event in events:
        assert (event["type"], event["function"]) == ("kprobe", OPEN)
        assert event["arg_names"] == ["dfd", "filename", "how"]
        assert 0 < event["duration_ns"] < 10**9


def test_calls_alone_have_no_result(variant: str, worker: Worker) -> None:
    if not variant:
        return
    events = followed(worker, OPEN, "--args", "6")
    assert lost(events) == 0 and len(events) == 202
    assert {len(event["args"]) for event in events} == {3}
    assert all("result" not in event and "stack" not in event for event in events)
    assert {event["pid"] for event in events} == {worker.pid}


def test_a_sleep_lasts_as_long_as_it_does(variant: str, worker: Worker) -> None:
    if not variant:
        return
    events = followed(worker, "hrtimer_nanosleep", "--ret", work="sleep", number=53)
    assert len(events) == 53
    durations = sorted(event["duration_ns"] for event in events)
    assert durations[0] >= 20e6 and durations[26] < 500e6  # the machine may be busy at times
    assert {event["result"] for event in events} == {0}


def test_the_stack_begins_with_the_function_and_names_who_called(
    variant: str, worker: Worker
) -> None:
    if not variant:
        return
    for event in followed(worker, OPEN, "--stack", number=7):
        names = [frame.partition("+")[0] for frame in event["stack"]]
        assert names[0] == OPEN and "do_syscall_64" in names
        assert not any(name.startswith("bpf_") for name in names)


def test_a_function_without_arguments(variant: str, worker: Worker) -> None:
    if not variant:
        return
    events = followed(worker, "schedule", "--ret", work="sleep", number=11)
    calls = [event for event in events if event["type"] == "kprobe"]
    assert {(tuple(event["args"]), event["result"]) for event in calls} <= {((), None)}
    # every thread that sleeps takes one of the few returns that a kretprobe can wait for
    assert len(calls) + lost(events) >= 11 and (variant != "fentry" or len(calls) >= 11)


def test_printed_and_lost_are_all_that_were_made(variant: str, worker: Worker) -> None:
    if not variant:
        return
    events = followed(worker, OPEN, "--ret", "--buffer-size", "64K", number=3001)
    printed = sum(event["type"] == "kprobe" for event in events)
    assert printed + lost(events) == 6002


def test_a_short_call_is_left_out(variant: str, worker: Worker) -> None:
    if not variant:
        return
    words = ("hrtimer_nanosleep", "--ret", "--min-latency", "19ms")
    assert len(followed(worker, *words, work="sleep", number=5)) == 5


def test_without_hooks_it_says_so(hooks: bool) -> None:
    if hooks:
        return
    for words in ((), ("--json",), ("--ret", "--stack")):
        done = ebtop("kprobe", OPEN, *words)
        assert (done.returncode, done.stdout) == (77, b"")
        assert "hook" in said(done)


@pytest.mark.skipif(bool(why_not_as_nobody()), reason=why_not_as_nobody())
@pytest.mark.parametrize("words", [(), ("--json",)])
def test_to_nobody_it_is_not_possible(words: tuple[str, ...]) -> None:
    done = ebtop("kprobe", OPEN, *words, **NOBODY)
    assert (done.returncode, done.stdout) == (77, b"") and "not root" in said(done)


@pytest.mark.parametrize("function, near", [("do_sys_openat3", OPEN), ("vfs_reed", "vfs_read")])
def test_a_function_that_is_not_there_has_neighbours(function: str, near: str) -> None:
    done = ebtop("kprobe", function, "--json")
    assert (done.returncode, done.stdout) == (2, b"")
    assert f"no function {function}" in said(done) and near in said(done)


def test_a_name_of_several_functions_means_none() -> None:
    with open("/proc/kallsyms", "rb") as file:
        code = [line.split()[2] for line in file if line.split()[1] in (b"t", b"T")]
    twice = next(name for name in code if b"." not in name and code.count(name) > 1)
    done = ebtop("kprobe", os.fsdecode(twice))
    assert done.returncode == 2 and "functions named" in said(done)


def test_what_the_kernel_forbids_is_told() -> None:
    path = "/sys/kernel/debug/kprobes/blacklist"
    if not os.access(path, os.R_OK):
        return
    with open(path, "rb") as file:
        names = [line.split()[1] for line in file]
    name = next(os.fsdecode(n) for n in names if len(read().named(os.fsdecode(n))) == 1)
    done = ebtop("kprobe", name)
    assert done.returncode == 2 and "blacklist" in said(done)


def test_it_ends_after_so_many(variant: str, worker: Worker) -> None:
    if not variant:
        return
    words = command("kprobe", OPEN, "-n", "5", "--json")
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        while process.poll() is None:
            worker.do("open", 5)
        assert process.stdout.read().count(b"\n") == 5


def test_nested_calls_of_one_thread_have_each_their_own_return(
    variant: str, worker: Worker
) -> None:
    """On an overlay file system opening a file opens the file beneath, by the same function."""
    if not variant or not read().named("do_dentry_open"):
        return
    events = followed(worker, "do_dentry_open", "--ret")
    layers = len(events) // 101
    assert layers >= 1 and len(events) == 101 * layers and lost(events) == 0
    spans = [(e["monotonic_ns"] - e["duration_ns"], e["monotonic_ns"]) for e in events]
    for first in range(0, len(spans), layers):
        for inner, outer in zip(spans[first:], spans[first + 1 : first + layers]):
            assert outer[0] < inner[0] < inner[1] < outer[1]
