# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""`ebtop exec` on the real kernel: every start and end once, as it was, and no loss unsaid."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import hostile
import pytest
from following import Event, Follower, lost
from observe import allowed, watch, workload
from running import command

from ebtop.model.layout import EVENT_TYPES
from ebtop.sources.bpf import Session

MARK = "/bin/true"


def follow(*words: str) -> Follower:
    return Follower(lambda: subprocess.run([MARK], check=True), "exec", "--json", *words)


def of_parent(events: list[Event], kind: str, ppid: int) -> list[Event]:
    return [event for event in events if event["type"] == kind and event["ppid"] == ppid]


def run(*words: str, **options: Any) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(words, stdout=subprocess.PIPE, **options)
    process.communicate()
    return process


def test_every_start_and_end_has_a_line():
    with follow() as follower:
        spawner = run(workload("spawn"), "103", "/bin/true", "an argument", "")
        events = follower.end()
    assert follower.process.returncode == 0 and follower.errors == b""
    starts = of_parent(events, "exec", spawner.pid)
    ends = of_parent(events, "exit", spawner.pid)
    assert len(starts) == len(ends) == 103 and lost(events) == 0
    assert {tuple(event["args"]) for event in starts} == {("/bin/true", "an argument", "")}
    assert {event["filename"] for event in starts} == {"/bin/true"}
    assert [event["pid"] for event in starts] == [event["pid"] for event in ends]
    for event in ends:
        assert (event["exit_code"], event["signal"], event["comm"]) == (0, None, "true")
    times = [event["monotonic_ns"] for event in events if event["type"] != "lost"]
    assert times == sorted(times)


def test_ends_say_how():
    shell = "exit 3"
    with follow() as follower:
        codes = [run("/bin/sh", "-c", shell).pid]
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
            codes.append(run("/bin/sh", "-c", f"ulimit -c 0; kill -{int(number)} $$").pid)
        events = follower.end()
    ends = {event["pid"]: event for event in events if event["type"] == "exit"}
    assert [(ends[pid]["exit_code"], ends[pid]["signal"]) for pid in codes] == [
        (3, None), (137, "SIGKILL"), (143, "SIGTERM"), (139, "SIGSEGV"),
    ]  # fmt: skip


def test_time_on_the_cpu_is_the_kernels_own():
    spinner = workload("act")  # compiling it takes time too
    with follow() as follower:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        burner = run(spinner, "spin", "97")
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        events = follower.end()
    (end,) = (event for event in events if event["type"] == "exit" and event["pid"] == burner.pid)
    spent = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    # the last thread's way out of the kernel is in ours and not all of it in wait(2)'s
    assert end["oncpu_ns"] == pytest.approx(spent * 1e9, abs=3_000_000)
    assert end["duration_ns"] >= 90_000_000


def test_a_process_from_before_has_its_whole_time_on_the_cpu():
    early = subprocess.Popen(
        [sys.executable, "-c", "import time\nwhile time.process_time() < 0.3: pass\ninput()"],
        stdin=subprocess.PIPE,
    )
    time.sleep(0.6)
    with follow() as follower:
        early.communicate(b"\n")
        events = follower.end()
    (end,) = (event for event in events if event["type"] == "exit" and event["pid"] == early.pid)
    assert end["oncpu_ns"] >= 300_000_000


def test_hostile_names_and_arguments_come_through(tmp_path):
    names = [name for name in dict.fromkeys(hostile.names()) if b"\0" not in name][:211]
    with follow() as follower:
        for name in names:
            run("/bin/true", os.fsdecode(name[:200]))
        events = follower.end()
    assert follower.data.isascii() and b"\x7f" not in follower.data
    got = [event["args"][1] for event in of_parent(events, "exec", os.getpid())
           if len(event["args"]) == 2]  # fmt: skip
    assert got == [name[:200].decode("utf-8", "backslashreplace") for name in names]


def test_long_arguments_are_marked_as_cut():
    with follow() as follower:
        run("/bin/true", "x" * 1000)
        events = follower.end()
    (cut,) = (event for event in of_parent(events, "exec", os.getpid()) if event.get("args_cut"))
    assert len("".join(cut["args"])) in range(240, 257)


def test_a_pid_and_its_descendants():
    shell = subprocess.Popen(
        ["/bin/sh"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert shell.stdin is not None

    def mark() -> None:
        shell.stdin.write("/bin/true\n")
        shell.stdin.flush()

    with Follower(mark, "exec", "--json", "--descendants", "-p", str(shell.pid)) as follower:
        run("/bin/true", "not of the shell")
        shell.stdin.write("sh -c 'true; /bin/true of the grandchild; true'\n")
        shell.stdin.close()
        shell.wait()
        events = follower.end()
    words = [event["args"] for event in events if event["type"] == "exec"]
    assert ["/bin/true", "of", "the", "grandchild"] in words
    assert ["/bin/true", "not of the shell"] not in words
    assert f"process {shell.pid} has ended".encode() in follower.errors


def spawn_beside(witness: Session, count: int) -> int:
    """The pid of what started `count` programs while the witness read all there was."""
    command = [workload("spawn"), str(count), "/bin/true"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as spawner:
        while spawner.poll() is None:
            watch(witness, 0.02)
    return spawner.pid


def witnessing() -> Session:
    """Meets what the stream meets: what starts, what fails to, and what ends."""
    session = Session(["life"], failed_execs=True)
    session.refresh()
    return session


def assert_nothing_is_missing(
    events: list[Event], witness: Session, spawner: int, count: int
) -> None:
    """Of the spawner at least all is there, and at most what the witness met of anyone's."""
    system, self_cost = (snapshot := witness.refresh()).system, snapshot.self_cost
    assert self_cost.lost["ring_buffer"] == 0
    made = 2 * (count + 1)
    printed = [event for event in events if event["type"] != "lost"]
    own = sum(spawner in (event["ppid"], event["pid"]) for event in printed)
    assert lost(events) > 0
    assert made <= own + lost(events)
    assert system.execs is not None and system.exited is not None
    failed = snapshot.events.column("type").count(EVENT_TYPES.index("exec_failed"))
    assert len(printed) + lost(events) <= system.execs + failed + system.exited


def test_printed_and_lost_are_all_there_were():
    with witnessing() as witness, follow("--buffer-size", "64K", "-d", "1") as follower:
        before = len(follower.data)
        follower.process.send_signal(signal.SIGSTOP)  # a reader that does not look
        spawner = spawn_beside(witness, 307)
        follower.process.send_signal(signal.SIGCONT)
        events = follower.end()
        assert_nothing_is_missing(events, witness, spawner, 307)
    assert len(follower.data) > before


def test_a_slow_reader_loses_nothing_unsaid():
    count = 701  # far more than a pipe and the buffer hold, on any kernel
    with witnessing() as witness, follow("--buffer-size", "64K") as follower:
        spawner = spawn_beside(witness, count)  # nobody reads the follower meanwhile
        events = follower.end()
        assert_nothing_is_missing(events, witness, spawner, count)


def test_a_line_comes_soon():
    with follow() as follower:
        times = []
        for number in range(11):
            word = f"mark-{number}"
            run("/bin/true", word)
            times.append(follower.until(lambda data, word=word: word.encode() in data))
    assert sorted(times)[5] < 0.2


@pytest.mark.long("what it judges is a duration, and an emulator's says nothing")
def test_waiting_costs_next_to_nothing():
    with follow() as follower:
        stat = Path(f"/proc/{follower.process.pid}/schedstat")
        before = int(stat.read_text().split()[0])
        follower.take(2)
        assert int(stat.read_text().split()[0]) - before < allowed(0.04) * 1e9  # 2 %


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_whole_lines(number):
    with follow() as follower:
        spawner = subprocess.Popen([workload("spawn"), "500", "/bin/true"], stdout=-1)
        follower.take(0.2)
        events = follower.end(number)
        spawner.communicate()
    assert (follower.process.returncode, follower.errors) == (0, b"")
    assert of_parent(events, "exec", spawner.pid)


def test_a_closed_pipe_ends_it_quietly():
    with follow() as follower:
        follower.process.stdout.close()
        follower.process.stdout = None
        for _ in range(20):
            run("/bin/true")
        _, errors = follower.process.communicate(timeout=10)
    assert (follower.process.returncode, errors) == (0, b"")


def test_a_full_disk_is_one_line_and_status_1():
    with open("/dev/full", "wb") as full:
        process = subprocess.Popen(command("exec"), stdout=full, stderr=subprocess.PIPE)
    end = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < end:
        run("/bin/true")
        time.sleep(0.05)
    _, errors = process.communicate(timeout=5)
    assert process.returncode == 1
    assert errors == b"ebtop: cannot write the output: No space left on device\n"


def test_it_ends_after_so_many_events():
    with follow("-n", "7") as follower:
        for _ in range(8):
            run("/bin/true")
        assert len(follower.end(None)) == 7
    assert follower.process.returncode == 0


def test_a_life_is_not_shorter_than_its_time_on_the_cpu():
    """The exit of one that only runs comes before its last steps, which are on the CPU too."""
    busy = workload("act")
    with follow() as follower:
        pids = {run(busy, "exit", str(code)).pid for code in range(101)}
        events = follower.end()
    ends = [event for event in events if event["type"] == "exit" and event["pid"] in pids]
    assert len(ends) == 101
    for end in ends:
        assert end["duration_ns"] >= end["oncpu_ns"] > 0


def fail(path: str, *arguments: str) -> int:
    """The pid of what could not execute it."""
    pid = os.fork()
    if not pid:
        try:
            os.execv(path, arguments)
        finally:
            os._exit(3)
    os.waitpid(pid, 0)
    return pid


def test_an_exec_that_fails_is_a_line_with_its_error(tmp_path):
    plain = tmp_path / "no program"
    plain.write_text("no program")
    plain.chmod(0o755)
    with follow() as follower:
        pids = {
            fail("/no/such/program", "x", "a b", ""): "ENOENT",
            fail("/etc/passwd", "p"): "EACCES",
            fail(str(plain), "n"): "ENOEXEC",
            fail("/", *(["many"] * 40)): "EACCES",
        }
        events = follower.end()
    failed = {e["pid"]: e for e in events if e["type"] == "exec" and e["pid"] in pids}
    assert {pid: event["error"] for pid, event in failed.items()} == pids
    first, second, _, last = (failed[pid] for pid in pids)
    assert (first["filename"], first["args"]) == ("/no/such/program", ["x", "a b", ""])
    assert first["ppid"] in (os.getpid(), None) and second["args"] == ["p"]
    assert last["args_cut"] and set(last["args"]) == {"many"}
    assert all(event["error"] is None for event in of_parent(events, "exec", os.getpid())
               if event["pid"] not in pids)  # fmt: skip
    assert len([event for event in events if event["type"] == "exit" and event["pid"] in pids]) == 4


def test_a_program_in_no_folder_is_called_what_it_is():
    fd = os.memfd_create("no folder", 0)
    os.write(fd, Path(MARK).read_bytes())
    with follow() as follower:
        pids = []
        for program in (f"/proc/self/fd/{fd}", fd):
            pid = os.fork()
            if not pid:
                try:
                    os.execve(program, ["x"], {})
                finally:
                    os._exit(9)
            # a guest's 5.10 does not find what only a descriptor leads to
            if os.waitpid(pid, 0)[1] == 0:
                pids.append(pid)
        events = follower.end()
    os.close(fd)
    started = [event for event in events if event["type"] == "exec" and event["pid"] in pids]
    assert pids and [event["file"] for event in started] == ["memfd:no folder"] * len(pids)
