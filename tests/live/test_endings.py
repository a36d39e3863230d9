# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Every command ends within a second of one signal, whoever reads its output, and with its process
or its reader; and what a stream had to say until then is printed or counted."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kernelobjects import assert_gone_within_a_second, held
from observe import allowed, fewer
from running import command, ebtop
from stalled import OUTPUTS, WRITE

SECOND = allowed(1.0)
PATIENCE_S = allowed(30)
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
NOISE = """
import mmap, os, socket, time
listener = socket.create_server(("127.0.0.1", 0))
end = time.monotonic() + 600
while time.monotonic() < end:
    mmap.mmap(-1, 1 << 20).close()
    socket.create_connection(listener.getsockname()).close()
    listener.accept()[0].close()
    if not os.fork():
        os.execv("/bin/true", ["true"])
    os.wait()
    time.sleep(0.01)
"""
COMMANDS = {
    "once": ["--once", "-d", "0.1"],
    "batch": ["-b", "-d", "0.1"],
    "json": ["--json", "-d", "0.1"],
    "json without BPF": ["--json", "-d", "0.1", "--source", "proc"],
    "open": ["open"],
    "exec": ["exec", "--json"],
    "tcp": ["tcp"],
    "mem": ["mem", "--json"],
    "slow": ["slow", "--json"],
    "signals": ["signals"],
    "syscalls": ["syscalls", "-d", "0.2"],
    "syscalls, one report": ["syscalls"],
    "run": ["run", "--json", "--", "sleep", "600"],
    "run of a writer": ["run", "--", "yes"],
    "run of a process": ["run", "--json", "-p", str(os.getpid())],
}
STREAMS = [["open", "--json"], ["exec", "--json"], ["tcp"], ["mem"], ["slow"], ["signals"]]
AT_ONCE = {
    "help": ["--help"],
    "doctor": ["doctor"],
    "diff": ["diff", "--json", "{report}", "{report}"],
}
"""Those that write once and end."""


@contextlib.contextmanager
def noise() -> Iterator[None]:
    """Something of everything that streams tell of."""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", NOISE]) as process:
        try:
            yield
        finally:
            process.kill()


def until(holds: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < end, "it never came so far"
        time.sleep(0.01)


def works(process: subprocess.Popen[bytes]) -> Callable[[], object]:
    """Whether it has given up its privileges: its source is open then."""
    status = Path(f"/proc/{process.pid}/status")
    return lambda: "\nNoNewPrivs:\t1" in status.read_text()


def writes(process: subprocess.Popen[bytes]) -> Callable[[], object]:
    """Whether it waits in write(2)."""
    path = Path(f"/proc/{process.pid}/syscall")
    return lambda: path.read_text().split()[:1] == [WRITE]


def took(process: subprocess.Popen[bytes], number: int) -> float:
    began = time.monotonic()
    process.send_signal(number)
    process.wait(PATIENCE_S)
    return time.monotonic() - began


def number_for(name: str, output: str) -> int:
    """In turn, so that each command and each output meets each signal."""
    turn = [*COMMANDS, *AT_ONCE].index(name) + list(OUTPUTS).index(output)
    return ENDING[turn % len(ENDING)]


@pytest.mark.parametrize("name", COMMANDS)
def test_one_signal_ends_it_although_nobody_reads(name, tmp_path):
    with noise(), contextlib.ExitStack() as stack:
        begun = {}
        for output, opened in OUTPUTS.items():
            fd = stack.enter_context(opened())
            begun[output] = subprocess.Popen(
                command(*COMMANDS[name]), stdin=subprocess.DEVNULL, stdout=fd,
                stderr=subprocess.PIPE,
            )  # fmt: skip
            stack.callback(begun[output].kill)
        for process in begun.values():
            until(works(process), process)
        time.sleep(allowed(1.0))
        ended = {}
        for output, process in begun.items():
            objects = held(process.pid)
            assert bool(objects) == ("proc" not in COMMANDS[name])
            seconds = took(process, number_for(name, output))
            ended[output] = (process.returncode, seconds < SECOND or seconds)
            assert_gone_within_a_second(objects)
            error = process.stderr.read()
            assert b"Traceback" not in error and error.count(b"\n") <= 1, error
    # a command's own status: ended by the signal, or (1) by an output that does not wait for it
    statuses = (129, 130, 143, 1) if "--" in COMMANDS[name] else (0,)
    assert all(status in statuses and in_time is True for status, in_time in ended.values()), ended


@pytest.mark.parametrize("name", ["json", "open", "run"])
def test_one_signal_ends_it_although_nobody_reads_what_is_wrong_either(name):
    """As with 2>&1: what cannot be written is told nobody, and is not waited for twice."""
    with noise(), OUTPUTS["a full pipe"]() as fd:
        process = subprocess.Popen(command(*COMMANDS[name]), stdout=fd, stderr=fd)
        until(works(process), process)
        time.sleep(allowed(1.0))
        assert took(process, signal.SIGTERM) < SECOND


def test_a_selftest_ends_in_the_middle_of_its_work():
    process = subprocess.Popen(
        command("selftest", "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    until(works(process), process)
    time.sleep(allowed(1.0))
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out, error = process.communicate(timeout=PATIENCE_S)
    assert time.monotonic() - began < SECOND and error == b""
    assert json.loads(out)["missed"] == 0


@pytest.mark.parametrize("name", AT_ONCE)
def test_one_signal_ends_what_writes_once(name, tmp_path):
    report = tmp_path / "report"
    assert ebtop("run", "--json", "--output", str(report), "--", "true").returncode == 0
    words = [word.format(report=report) for word in AT_ONCE[name]]
    with contextlib.ExitStack() as stack:
        for output, opened in OUTPUTS.items():
            fd = stack.enter_context(opened())
            process = subprocess.Popen(command(*words), stdout=fd, stderr=subprocess.PIPE)
            stack.callback(process.kill)
            if "not block" not in output:
                until(writes(process), process)
            seconds = took(process, number_for(name, output))
            assert seconds < SECOND and process.stderr.read() == b"", output


@pytest.mark.parametrize("command_name", ["json", "open", "syscalls, one report", "run"])
def test_where_a_shell_ignores_sigint_sigterm_ends_it(command_name):
    """As in `ebtop ... &` of a script."""
    ignored = "trap '' INT QUIT; exec \"$@\""
    words = ["sh", "-c", ignored, "sh", *command(*COMMANDS[command_name])]
    with OUTPUTS["a full pipe"]() as fd, noise():
        process = subprocess.Popen(words, stdout=fd, stderr=subprocess.PIPE)
        until(works(process), process)
        process.send_signal(signal.SIGINT)
        time.sleep(allowed(0.5))
        assert process.poll() is None
        assert took(process, signal.SIGTERM) < SECOND


# ---- the reader and the process ----


@pytest.mark.parametrize(
    "words", [*STREAMS, ["syscalls", "-S", "getpgid"], ["--json", "-d", "600"]]
)
def test_it_ends_when_its_reader_has_gone_although_it_has_nothing_to_say(words):
    chosen = [] if words[0] == "--json" else ["-u", "12345"]
    process = subprocess.Popen(
        command(*words, *chosen), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    until(works(process), process)
    process.stdout.close()
    began = time.monotonic()
    assert process.wait(PATIENCE_S) == 0 and process.stderr.read() == b""
    assert time.monotonic() - began < SECOND


@pytest.mark.parametrize("words", [*STREAMS, ["syscalls"], ["syscalls", "-d", "60"]])
def test_it_ends_with_the_last_of_its_processes(words):
    several = words[0] != "syscalls"
    with subprocess.Popen(["sleep", "600"]) as first, subprocess.Popen(["sleep", "600"]) as second:
        pids = f"{first.pid},{second.pid}" if several else str(first.pid)
        process = subprocess.Popen(
            command(*words, "-p", pids), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        until(works(process), process)
        time.sleep(allowed(0.3))
        second.kill()
        second.wait()
        time.sleep(allowed(0.3))
        assert process.poll() is None
        first.kill()
        began = time.monotonic()
        first.wait()
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0 and time.monotonic() - began < SECOND
    assert words[0] != "exec" or out.count(b'"type":"exit"') == 2


@pytest.mark.parametrize("words", [*STREAMS, ["syscalls"], ["syscalls", "-d", "60"]])
def test_with_descendants_it_ends_with_the_last_of_them(words):
    script = "sleep 600 & echo $!; wait"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as shell:
        child = int(shell.stdout.readline())
        process = subprocess.Popen(
            command(*words, "-p", str(shell.pid), "--descendants"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        until(works(process), process)
        time.sleep(allowed(0.5))
        shell.kill()
        shell.wait()
        time.sleep(allowed(1.5))
        assert process.poll() is None
        os.kill(child, signal.SIGKILL)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0


# ---- what a stream has not said yet ----

OPENS = """
import os, sys
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[1])):
    try:
        os.open("/no/such/file", 0)
    except OSError:
        pass
print("done", flush=True)
sys.stdin.readline()
"""
MAPS = OPENS.replace("import os", "import mmap, os").replace(
    'os.open("/no/such/file", 0)', "mmap.mmap(-1, 1 << 30).close()"
)


@contextlib.contextmanager
def maker(code: str, count: int) -> Iterator[subprocess.Popen[bytes]]:
    pipe = subprocess.PIPE
    words = [sys.executable, "-I", "-S", "-c", code, str(count)]
    with subprocess.Popen(words, stdin=pipe, stdout=pipe) as process:
        assert process.stdout.readline() == b"ready\n"
        try:
            yield process
        finally:
            process.kill()


def make(process: subprocess.Popen[bytes]) -> None:
    process.stdin.write(b"\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"done\n"


def read_slowly(fd: int, data: bytearray, pace_s: float) -> None:
    while part := os.read(fd, 1 << 16):
        data += part
        time.sleep(pace_s)


def counted(data: bytes) -> tuple[int, int]:
    """Printed and lost; every line is whole."""
    events = [json.loads(line) for line in bytes(data).splitlines()]
    assert not data or data.endswith(b"\n")
    return (
        sum(event["type"] != "lost" for event in events),
        sum(event["count"] for event in events if event["type"] == "lost"),
    )


TAILS = {
    "open": (["open", "--json"], OPENS, 300007, 1),
    "mem": (["mem", "--json", "--min-size", "512M"], MAPS, 30011, 2),
}


@pytest.mark.parametrize("pace_s", [0.0, 0.02, 0.2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, None])
@pytest.mark.parametrize("kind", TAILS)
def test_all_that_was_made_is_printed_or_counted_as_lost(kind, number, pace_s):
    """The end comes while most of it waits in the buffer; without a signal, that of the process."""
    words, code, count, each = TAILS[kind]
    count = fewer(count)
    data = bytearray()
    with maker(code, count) as process:
        stream = subprocess.Popen(
            command(*words, "-p", str(process.pid), "--buffer-size", "128M"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        until(works(stream), stream)
        reader = threading.Thread(target=read_slowly, args=(stream.stdout.fileno(), data, pace_s))
        reader.start()
        make(process)
        if number is None:
            process.kill()
        else:
            stream.send_signal(number)
        assert stream.wait(PATIENCE_S) == 0
        reader.join()
        errors = stream.stderr.read()
        stream.stdout.close()
    printed, lost = counted(data)
    assert printed + lost == count * each, (printed, lost, errors)
    assert printed > 0 and (pace_s or not lost)
    if pace_s == 0.2:
        assert lost > 0


def test_what_nobody_reads_is_counted_on_standard_error():
    with maker(OPENS, fewer(30011)) as process:
        stream = subprocess.Popen(
            command("open", "--json", "-p", str(process.pid), "--buffer-size", "64M"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        until(works(stream), stream)
        make(process)
        assert took(stream, signal.SIGTERM) < SECOND + allowed(0.5)
        out, errors = stream.communicate()
    printed, lost = counted(out[: out.rfind(b"\n") + 1])
    said = re.fullmatch(rb"ebtop: (\d+) events are not in the output: nobody read it\n", errors)
    assert said and printed + lost + int(said[1]) == fewer(30011)


def test_a_stream_that_is_complete_says_no_more_than_it_was_asked_for():
    with maker(OPENS, 5003) as process:
        stream = subprocess.Popen(
            command("open", "--json", "-p", str(process.pid), "-n", "1009"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        until(works(stream), stream)
        make(process)
        out, errors = stream.communicate(timeout=PATIENCE_S)
    assert (counted(out), errors, stream.returncode) == ((1009, 0), b"", 0)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_while_it_begins_ends_it_too(name):
    """The kernel may verify programs for a long time; so far nothing is lost with the process."""
    begun = []
    for tenths in range(1, 9):
        process = subprocess.Popen(
            command(*COMMANDS[name]), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        time.sleep(allowed(tenths / 10))
        number = (signal.SIGTERM, signal.SIGHUP)[tenths % 2]
        begun.append((took(process, number), process.returncode, process.stderr.read()))
    for seconds, status, error in begun:
        # by the signal where Python itself was not up yet
        assert status in (0, 129, 143, -signal.SIGHUP, -signal.SIGTERM)
        assert seconds < SECOND and b"Traceback" not in error
