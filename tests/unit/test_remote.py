# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""`ebtop set`: which filter its words mean, and which ebtop gets it."""

from __future__ import annotations

import os

import pytest

from ebtop.commands import set as set_command
from ebtop.errors import EbtopError, PermissionDenied, Unsupported, UsageError
from ebtop.model.filters import KernelFilter
from ebtop.options import settable, streams
from ebtop.options.commandline import parse
from ebtop.options.options import COMMANDS


def asked(*words: str) -> KernelFilter:
    return set_command.asked_for(dict(parse(["set", *words]).changes))


def test_words_become_a_filter():
    own = os.getpid()
    assert asked(f"pid={own}", "min_latency=5ms") == KernelFilter(pid=own, min_latency_ns=5_000_000)
    assert asked("min_size=64K") == KernelFilter(min_bytes=65536)
    assert asked("uid=7") == asked("user=7") == KernelFilter(uid=7)
    assert asked("user=root", "min_latency=100us") == KernelFilter(uid=0, min_latency_ns=100_000)
    assert asked(f"pid={own}", "descendants=1") == KernelFilter(pid=own, descendants=True)


@pytest.mark.parametrize("words", [["none"], [""], ["pid="], ["pid=", "min_latency="]])
def test_nothing_named_clears(words):
    assert asked(*words) == KernelFilter()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("frob=1", "pid, uid, user, min_latency, min_size, port, descendants"),
        ("pid", "KEY=VALUE"),
        ("pid=0", "a pid"),
        ("pid=1 pid=2", "twice"),
        ("pid=4194304", "no process 4194304"),
        ("uid=-1", "a user's number"),
        ("user=no-such-user", "no-such-user"),
        ("uid=1 user=root", "exclude"),
        ("min_latency=5", "5ms"),
        ("min_latency=x", "5ms"),
        ("min_size=5q", "64K"),
        ("descendants=yes", "0 or 1"),
        ("descendants=1", "pid=PID"),
    ],
)
def test_wrong_words_are_named(words, named):
    with pytest.raises(UsageError, match=named):
        asked(*words.split())


def running(monkeypatch, **by_pid: EbtopError | None) -> list[tuple[int, KernelFilter]]:
    """Processes that answer so; what they are set to is in the list."""
    told: list[tuple[int, KernelFilter]] = []

    def filter_other(pid, wanted):
        answer = by_pid.get(f"p{pid}", Unsupported("no ebtop"))
        if answer is not None:
            raise answer
        if wanted is not None:
            told.append((pid, wanted))
        return settable.bits("json")

    monkeypatch.setattr(set_command, "filter_other", filter_other)
    monkeypatch.setattr(set_command.os, "listdir", lambda _: ["1", "5", "6", "self"])
    return told


def test_the_only_one_is_found(monkeypatch):
    told = running(monkeypatch, p5=None)
    assert set_command.run(parse(["set", "uid=3"])) == 0
    assert told == [(5, KernelFilter(uid=3))]


def test_what_it_does_not_obey_is_refused_and_nothing_is_set(monkeypatch):
    told = running(monkeypatch, p5=None)
    with pytest.raises(UsageError, match="does not filter by min_size; by: pid, user,"):
        set_command.run(parse(["set", "uid=3", "min_size=1M"]))
    assert told == []
    assert set_command.run(parse(["set", "uid=3", "port=443", "min_latency=1ms"])) == 0
    assert set_command.run(parse(["set", "none"])) == 0


def test_every_key_is_obeyed_by_some_command_and_has_a_bit():
    assert set(settable.KEYS) == {k for keys in settable.BY_COMMAND.values() for k in keys}
    assert set(settable.KEYS) | {"uid"} == set(streams._KEYS)
    assert set(settable.BY_COMMAND) <= {"dashboard", "once", "batch", "json", *COMMANDS}
    assert settable.bits("exec") == settable.bits("run") == 0
    assert settable.names(settable.bits("mem"))[-1] == "exclude_pid"


def test_of_several_one_must_be_named(monkeypatch):
    told = running(monkeypatch, p5=None, p6=None)
    with pytest.raises(UsageError, match=r"--instance PID: 5 .*; 6 "):
        set_command.run(parse(["set", "uid=3"]))
    assert set_command.run(parse(["set", "uid=3", "--instance", "6"])) == 0
    assert told == [(6, KernelFilter(uid=3))]


def test_none_is_a_failure(monkeypatch):
    running(monkeypatch)
    with pytest.raises(EbtopError, match="no ebtop"):
        set_command.run(parse(["set", "none"]))


def test_what_is_no_ebtop_is_wrong_usage(monkeypatch):
    running(monkeypatch)
    with pytest.raises(UsageError):
        set_command.run(parse(["set", "none", "--instance", "1"]))


def test_one_of_somebody_else_is_refused(monkeypatch):
    running(monkeypatch, p5=PermissionDenied("not yours"))
    with pytest.raises(PermissionDenied, match="not yours"):
        set_command.run(parse(["set", "none", "--instance", "5"]))
