# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""`ebtop signals` on the real kernel: every signal between processes once, with its sender, and the
victims of the OOM killer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from following import Event, Follower, lost
from observe import allowed, opened

from ebtop.sources.bpf import prototype

SENDER = """
import os, signal, sys
target, number, times = map(int, sys.argv[1:])
for _ in range(times):
    os.kill(target, number)
"""
MEMORY = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """One that ignores SIGUSR1 and outlives SIGHUP."""
    code = ("import signal, time; signal.signal(signal.SIGUSR1, signal.SIG_IGN);"
            " signal.signal(signal.SIGHUP, lambda *_: None);"
            " print(flush=True); [time.sleep(1) for _ in range(600)]")  # fmt: skip
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def follow(*words: str) -> Follower:
    def mark() -> None:
        process = subprocess.Popen(["/bin/sleep", "60"])
        process.terminate()
        process.wait()

    return Follower(mark, "signals", "--json", *words)


def send(target: int, number: int, times: int) -> int:
    """By a process of its own, whose pid this is."""
    words = [sys.executable, "-c", SENDER, str(target), str(int(number)), str(times)]
    process = subprocess.Popen(words)
    assert process.wait() == 0
    return process.pid


def sent(events: list[Event], target: int) -> list[Event]:
    return [e for e in events if e["type"] == "signal" and e["target_pid"] == target]


def test_every_signal_has_a_line_with_its_sender(sleeper: subprocess.Popen[bytes]) -> None:
    with follow() as follower:
        ignored = send(sleeper.pid, signal.SIGUSR1, 31)
        time.sleep(0.1)
        handled = send(sleeper.pid, signal.SIGHUP, 1)
        events = follower.end()
    assert lost(events) == 0
    of_ignored = [e for e in sent(events, sleeper.pid) if e["pid"] == ignored]
    assert len(of_ignored) == 31
    assert {(e["signal"], e["number"], e["ignored"]) for e in of_ignored} == {("SIGUSR1", 10, True)}
    name = Path(f"/proc/{sleeper.pid}/comm").read_text().strip()
    assert {e["target_comm"] for e in of_ignored} == {name}
    (one,) = [e for e in sent(events, sleeper.pid) if e["pid"] == handled]
    assert (one["signal"], one["ignored"], one["uid"]) == ("SIGHUP", False, os.geteuid())


def test_what_went_wrong_is_the_kernels_signal() -> None:
    with follow() as follower:
        crash = subprocess.Popen(
            [sys.executable, "-c", "import ctypes; ctypes.string_at(0)"],
            stderr=subprocess.DEVNULL,
        )
        assert crash.wait() == -signal.SIGSEGV
        events = follower.end()
    (one,) = [e for e in sent(events, crash.pid) if e["signal"] == "SIGSEGV"]
    assert (one["pid"], one["comm"], one["uid"]) == (None, None, None)


def test_children_timers_and_own_threads_are_no_lines() -> None:
    code = """
import os, signal, threading, time
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
signal.signal(signal.SIGURG, lambda *_: None)
for _ in range(11):
    signal.pthread_kill(threading.get_ident(), signal.SIGURG)
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
end = time.monotonic() + 0.2
while time.monotonic() < end:
    time.sleep(0.01)
signal.setitimer(signal.ITIMER_REAL, 0)
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
signal.raise_signal(signal.SIGUSR2)
"""
    with follow() as follower:
        process = subprocess.Popen([sys.executable, "-c", code])
        assert process.wait() == 0
        events = follower.end()
    assert [e["signal"] for e in sent(events, process.pid)] == ["SIGUSR2"]


def test_the_filter_shows_what_its_process_sends_and_gets(
    sleeper: subprocess.Popen[bytes],
) -> None:
    other = subprocess.Popen(["/bin/sleep", "600"])
    try:
        words = ("-p", str(sleeper.pid))
        mark = partial(os.kill, sleeper.pid, signal.SIGUSR1)
        with Follower(mark, "signals", "--json", *words) as f:
            send(other.pid, signal.SIGCONT, 7)
            sender = send(sleeper.pid, signal.SIGUSR1, 13)
            events = f.end()
    finally:
        other.kill()
        other.wait()
    assert not sent(events, other.pid)
    assert len([e for e in sent(events, sleeper.pid) if e["pid"] == sender]) == 13


def memory_cgroup() -> Path:
    for folder in map(Path, MEMORY):
        if folder.name == "memory" or "memory" in _words(folder / "cgroup.controllers"):
            made = folder / f"ebtop-oom-{os.getpid()}"
            made.mkdir()
            if not (made / "memory.limit_in_bytes").exists() and not (made / "memory.max").exists():
                (folder / "cgroup.subtree_control").write_text("+memory")
            return made
    raise AssertionError("no cgroup can limit memory here")


def _words(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def test_a_victim_of_the_oom_killer_is_named_with_what_it_held() -> None:
    group = memory_cgroup()
    limit = group / "memory.max"
    old = group / "memory.limit_in_bytes"
    (limit if limit.exists() else old).write_text(str(48 << 20))
    swap = group / "memory.swap.max"
    if swap.exists():
        swap.write_text("0")
    code = "print(flush=True); input(); held = b'x' * (1 << 30)"
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe)
    assert process.stdout is not None
    process.stdout.readline()  # all that it needs to run is in memory now
    try:
        (group / "cgroup.procs").write_text(str(process.pid))
        before = resident_bytes(process.pid)  # and not charged to this cgroup
        with follow() as follower:
            process.communicate(b"\n", timeout=allowed(20))
            follower.until(lambda data: b'"oom"' in data, allowed(5))
            events = follower.end()
    finally:
        process.kill()
        process.communicate()
        _remove(group)
    assert process.returncode == -signal.SIGKILL
    (one,) = [e for e in events if e["type"] == "oom" and e["victim_pid"] == process.pid]
    assert one["pid"] == process.pid  # it is its own need that kills it
    if one["rss_bytes"] is not None:  # told since Linux 6.9
        # and a little of files, which others were charged for
        assert 24 << 20 < one["rss_bytes"] <= (52 << 20) + before
        assert one["victim_comm"] == one["comm"]
    killed = [e for e in sent(events, process.pid) if e["signal"] == "SIGKILL"]
    assert len(killed) == 1 and killed[0]["pid"] is None


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def _remove(group: Path) -> None:
    end = time.monotonic() + 5
    while group.exists():
        try:
            group.rmdir()
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_threads_that_signal_each_other_are_one_process() -> None:
    """glibc tells all threads of a change of user by a real-time signal."""
    with follow() as follower:
        code = """
import os, threading
barrier = threading.Barrier(4)
threads = [threading.Thread(target=barrier.wait) for _ in range(3)]
for thread in threads: thread.start()
os.setresgid(-1, -1, os.getgid())
barrier.wait()
for thread in threads: thread.join()
"""
        process = subprocess.Popen([sys.executable, "-c", code])
        assert process.wait() == 0
        events = follower.end()
    assert sent(events, process.pid) == []


def test_a_pointer_to_a_victim_is_not_taken_for_its_pid(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = prototype("__traceiter_mark_victim", None)
    assert hook is not None
    monkeypatch.setenv("EBTOP_FAIL", "victim_btf:22")
    with opened(["signals"]) as session:
        names = {program.name for program in session.programs()}
    assert "signal_btf" in names and "victim_btf" not in names
    assert ("victim_pid_btf" in names) != hook.params[1].pointer
