# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""`ebtop open` as a stream: each open has its line, however it is written, or is counted."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading

import hostile
import pytest
from following import Event, Follower, lost
from running import NOBODY, ebtop, why_not_as_nobody

OPENER = """
import os, sys
names = [bytes.fromhex(word) for word in sys.argv[2:]]
def try_open(name):
    try:
        os.close(os.open(name, os.O_RDONLY))
    except OSError:
        pass
print("ready", flush=True)
while sys.stdin.buffer.raw.read(1) == b"m":
    try_open(b"/mark")
for index in range(int(sys.argv[1])):
    try_open(names[index % len(names)])
print("done", flush=True)
sys.stdin.buffer.raw.read(1)
"""


class Opener:
    """A process that opens so many files of these names when told to, and nothing besides."""

    def __init__(self, count: int, *names: bytes) -> None:
        pipe = subprocess.PIPE
        words = [sys.executable, "-c", OPENER, str(count), *(name.hex() for name in names)]
        self.process = subprocess.Popen(words, stdin=pipe, stdout=pipe)
        self.pid = self.process.pid
        assert self.process.stdout.readline() == b"ready\n"

    def mark(self) -> None:
        """Opens one file more."""
        self.process.stdin.write(b"m")
        self.process.stdin.flush()

    def go(self) -> None:
        self.process.stdin.write(b"g")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == b"done\n"

    def __enter__(self) -> Opener:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def follow(opener: Opener, *words: str) -> Follower:
    return Follower(opener.mark, "open", "--json", *words)


def of(opener: Opener, events: list[Event]) -> list[Event]:
    mine = (event for event in events if event.get("pid") == opener.pid)
    return [event for event in mine if event["filename"] != "/mark"]


def test_every_open_of_a_process_has_a_line():
    with Opener(1009, b"/etc/hostname", b"no-such-file") as opener:
        with follow(opener) as follower:
            opener.go()
            events = follower.end()
        got = of(opener, events)
    assert len(got) == 1009 and lost(events) == 0
    assert [event["filename"] for event in got] == (["/etc/hostname", "no-such-file"] * 505)[:1009]
    for event in got:
        failed = event["filename"] == "no-such-file"
        assert event["error"] == ("ENOENT" if failed else None)
        assert (event["result"] == -errno.ENOENT) == failed
        assert event["flags"] & os.O_ACCMODE == os.O_RDONLY


def test_hostile_names_have_a_line_each():
    names = [name.replace(b"\0", b"") or b"." for name in hostile.names()]
    names += [b"", b"/" + b"y" * 3999, bytes(range(1, 256)), b'quo"te\\']
    with Opener(len(names), *names) as opener:
        with follow(opener, "-p", str(opener.pid)) as follower:
            opener.go()
            events = follower.end()
        got = of(opener, events)
    assert [e["filename"] for e in got] == [n.decode("utf-8", "backslashreplace") for n in names]
    assert follower.data.isascii() and b"\x7f" not in follower.data
    assert {event["pid"] for event in events} == {opener.pid}


def test_a_filter_set_from_outside_holds_from_then_on():
    one, other = Opener(503, b"/etc/hostname"), Opener(503, b"/etc/hostname")
    with one, other, follow(other) as follower:
        instance = ("--instance", str(follower.process.pid))
        done = ebtop("set", f"pid={one.pid}", *instance)
        assert (done.returncode, done.stderr) == (0, b"")
        follower.take(0.3)
        seen = len(follower.data)
        other.go()
        one.go()
        follower.until(lambda data: data.count(b'"pid":%d,' % one.pid) == 503)
        after = [json.loads(line) for line in follower.data[seen:].splitlines()]
        assert ebtop("set", "none", *instance).returncode == 0
        events = follower.end()
    assert {event["pid"] for event in after} == {one.pid}
    assert len(of(one, events)) == 503 and not of(other, events)


@pytest.mark.skipif(bool(why_not_as_nobody()), reason=why_not_as_nobody())
def test_nobody_sets_a_filter_of_root():
    with Opener(1, b"/etc/hostname") as opener, follow(opener) as follower:
        done = ebtop("set", "none", "--instance", str(follower.process.pid), **NOBODY)
        assert done.returncode == 77
        assert done.stderr.startswith(b"ebtop: ") and done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("reader", ["slow", "stopped"])
def test_printed_and_lost_are_all_that_were_made(reader):
    with Opener(30011, b"/no/such/file") as opener:
        with follow(opener, "--buffer-size", "64K", "-p", str(opener.pid)) as follower:
            if reader == "stopped":
                follower.process.send_signal(signal.SIGSTOP)
            opener.go()
            if reader == "stopped":
                follower.process.send_signal(signal.SIGCONT)
            events = follower.end()
        printed = len(of(opener, events))
    assert printed and lost(events)
    assert printed + lost(events) == 30011
    assert {event["cause"] for event in events if event["type"] == "lost"} == {"ring_buffer"}


def test_nothing_is_lost_with_a_reader_that_keeps_up():
    with Opener(40009, b"/no/such/file") as opener:
        with follow(opener, "-p", str(opener.pid)) as follower:
            going = threading.Thread(target=opener.go)
            going.start()
            while going.is_alive():
                follower.take(0.05)
            going.join()
            events = follower.end()
        assert (len(of(opener, events)), lost(events)) == (40009, 0)
