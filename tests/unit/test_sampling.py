# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The loop of -b and --json: on time, and ended by what may end it, between two samples."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from ebtop.commands import sampling
from ebtop.commands.sampling import run
from ebtop.errors import EbtopError
from ebtop.runtime import stdio
from ebtop.runtime.signals import Signals
from ebtop.runtime.stdio import OutputClosed, write_all


class Source:
    """Has an event whenever the pipe behind `event_fd` has a byte."""

    def __init__(self):
        self.event_fd, self.write_fd = os.pipe()
        self.polled = 0

    def poll(self):
        self.polled += len(os.read(self.event_fd, 100))
        return self.polled


@pytest.fixture
def written(monkeypatch):
    samples = []
    monkeypatch.setattr(sampling, "write_all", samples.append)
    return samples


def sample(source=None, delay_s=0.01, iterations=None, refresh=lambda: 0, emit=lambda _: "x"):
    with Signals() as signals:
        run(source or Source(), delay_s, iterations, refresh, emit, signals)


def test_as_many_samples_as_asked_for(written):
    refreshes = []
    sample(iterations=3, refresh=lambda: refreshes.append(time.monotonic()))
    assert len(written) == 3
    assert len(refreshes) == 4, "one more begins the first interval"


def test_the_first_sample_comes_one_interval_after_the_start(written):
    times = []
    sample(delay_s=0.1, iterations=1, refresh=lambda: times.append(time.monotonic()))
    assert 0.1 <= times[1] - times[0] < 0.5


def test_a_late_sample_is_not_followed_by_hurried_ones(written):
    times = []

    def refresh():
        times.append(time.monotonic())
        if len(times) == 2:
            time.sleep(0.3)

    sample(delay_s=0.1, iterations=3, refresh=refresh)
    assert times[3] - times[2] >= 0.09


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_between_samples(written, number):
    timer = threading.Timer(0.1, os.kill, (os.getpid(), number))
    timer.start()
    before = signal.getsignal(number)
    began = time.monotonic()
    sample(delay_s=30)
    assert time.monotonic() - began < 5
    assert written == []
    assert signal.getsignal(number) == before


def test_a_signal_that_was_ignored_stays_ignored(written):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        sample(iterations=2, refresh=lambda: os.kill(os.getpid(), signal.SIGHUP))
        assert len(written) == 2
    finally:
        signal.signal(signal.SIGHUP, before)


def test_events_are_drained_while_waiting(written):
    source = Source()
    os.write(source.write_fd, b"abc")
    sample(source, delay_s=0.1, iterations=1)
    assert source.polled == 3


def test_a_flood_of_events_does_not_take_the_cpu(written):
    source = Source()
    polls = []
    source.poll = lambda: polls.append(1)  # never drained: always readable
    os.write(source.write_fd, b"abc")
    sample(source, delay_s=0.4, iterations=1)
    assert len(polls) < 40


def test_a_closed_pipe_is_no_failure():
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    with pytest.raises(OutputClosed):
        write_all(b"x", write_fd)


def test_a_full_disk_is_one():
    fd = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(EbtopError, match="No space left"):
        write_all(b"x", fd)


def test_a_pipe_that_does_not_block_gets_everything():
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    got = []
    reader = threading.Thread(target=lambda: got.append(_read_all(read_fd)))
    reader.start()
    write_all(b"x" * 1_000_000, write_fd)
    os.close(write_fd)
    reader.join()
    assert len(got[0]) == 1_000_000


def _read_all(fd):
    data = b""
    while True:
        part = os.read(fd, 1 << 16)
        if not part:
            return data
        data += part


def test_messages_cannot_carry_control_characters(capfd):
    stdio.say("a\x1b[2J\nb")
    assert capfd.readouterr().err.count("\n") == 1
