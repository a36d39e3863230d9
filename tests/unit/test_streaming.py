# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the stream's loop makes of a look at the buffer: who is chosen, losses, and the end."""

from __future__ import annotations

import json

import hostile
import pytest
import synthetic

from ebtop.commands import streamlines
from ebtop.commands.streamlines import Lines, Loss
from ebtop.model.layout import LOSSES
from ebtop.model.snapshot import Stream
from ebtop.options.commandline import parse
from ebtop.options.targets import kernel_filter


def stream(*rows: dict[str, object], **lost: int) -> Stream:
    return Stream(synthetic.events(rows), b"", {**dict.fromkeys(LOSSES, 0), **lost})


def event(kind: str, pid: int, comm: bytes = b"sh", **values: object) -> dict[str, object]:
    return synthetic.event(kind, pid, comm, **values)


def lines(words: str) -> Lines:
    return Lines(parse(["exec", "--json", *words.split()]))


def made(lines: Lines, stream: Stream) -> bytes:
    return b"".join(piece.data for piece in lines.of(stream))


def written(lines: Lines, stream: Stream) -> list[tuple[str, int]]:
    got = [json.loads(line) for line in made(lines, stream).splitlines()]
    return [(e["type"], e["count"] if e["type"] == "lost" else e["pid"]) for e in got]


def test_births_get_no_line():
    assert written(lines(""), stream(event("fork", 5), event("exec", 5), event("exit", 5))) == [
        ("exec", 5), ("exit", 5),
    ]  # fmt: skip


def test_pid_user_and_name_choose():
    many = stream(event("exec", 1, uid=0), event("exec", 2, b"bash"), event("exec", 3, uid=7))
    assert written(lines("-p 1,3"), many) == [("exec", 1), ("exec", 3)]
    assert written(lines("-u 7"), many) == [("exec", 3)]
    assert written(lines("-c as"), many) == [("exec", 2)]
    assert written(lines("-p 2 -u 7"), many) == []


def test_descendants_are_followed_until_they_end(monkeypatch):
    monkeypatch.setattr(streamlines.host, "descendants", lambda pids: {20})
    chosen = lines("-p 10 --descendants")
    family = [
        event("fork", 11, ppid=10), event("fork", 12, ppid=11), event("fork", 30, ppid=29),
        event("exec", 12), event("exec", 30), event("exec", 20), event("exit", 12),
    ]  # fmt: skip
    assert written(chosen, stream(*family)) == [("exec", 12), ("exec", 20), ("exit", 12)]
    assert written(chosen, stream(event("exec", 12), event("exec", 11))) == [("exec", 11)]


def test_losses_come_after_what_was_read_by_cause():
    some = stream(event("exec", 1), ring_buffer=3, event_rows=2, thread_slots=5)
    assert written(lines(""), some) == [("exec", 1), ("lost", 3), ("lost", 2)]
    assert made(lines(""), stream()) == b""


def test_lost_births_matter_to_who_follows_them_only():
    assert written(lines(""), stream(forks=4)) == []
    assert written(lines("-p 1 --descendants"), stream(forks=4)) == [("lost", 4)]


def test_it_ends_after_so_many_events():
    two = lines("-n 2")
    assert written(two, stream(event("exec", 1), ring_buffer=1)) == [("exec", 1), ("lost", 1)]
    assert not two.complete
    assert written(two, stream(event("exec", 2), event("exec", 3))) == [("exec", 2)]
    assert two.complete


def test_the_kernel_filters_what_it_can():
    one = kernel_filter(parse(["exec", "-p", "5", "--descendants", "-u", "7"]))
    assert (one.pid, one.uid, one.descendants) == (5, 7, True)
    assert kernel_filter(parse(["exec", "-p", "5,6"])).pid == 0


# ---- the quick way writes what outputs/eventlines.py writes ----

NAMES = [
    b"/etc/hostname", b"", b".", b"a b", b"x" * 4095, b'quo"te', b"back\\slash", b"tab\t", b"\x7f",
    b"~", b" ", b"\x1f", b"\x80", "é".encode(), b"new\nline", b"/usr/lib/x.so",
]  # fmt: skip
RESULTS = [0, 3, 2147483647, -1, -2, -13, -133, -134, -4095]


def opens(names: list[bytes], **values: object) -> Stream:
    rows, text = [], b"somewhere before"
    for index, name in enumerate(names):
        given = {
            "text": len(text), "text_bytes": len(name), "result": RESULTS[index % len(RESULTS)],
            "open_flags": index << 20, "time_ns": synthetic.NOW_NS + index * 333_333_333,
            "dirfd": [-100, 5, -1, -(1 << 31)][index % 4],
            "tid": index, "uid": (1 << 32) - 1 - index, **values,
        }  # fmt: skip
        rows.append(
            event("open", index + 1, [b"sh", b"sixteen-bytes...", b'c"'][index % 3], **given)
        )
        text += name
    return Stream(synthetic.events(rows), text, dict.fromkeys(LOSSES, 0))


def by_the_slow_way(words: str, stream: Stream) -> bytes:
    slow = Lines(parse(words.split()))
    slow._plain = None
    return made(slow, stream)


@pytest.mark.parametrize("words", ["open", "open --json", "open --ascii"])
def test_quick_lines_are_those_of_the_slow_way(words, monkeypatch):
    monkeypatch.setattr(streamlines.time, "time_ns", lambda: 1_700_000_000_999_999_999)
    monkeypatch.setattr(streamlines.time, "monotonic_ns", lambda: synthetic.NOW_NS)
    names = [*NAMES, *(bytes([byte]) * 3 for byte in range(1, 256)), *hostile.names()]
    for some in (
        opens(names), opens([b"/" + name for name in names]), opens(names, name=3, name_bytes=5),
        opens(names, marks=1), opens(names, marks=2, text_bytes=0),
    ):  # fmt: skip
        quick = made(Lines(parse(words.split())), some)
        assert quick == by_the_slow_way(words, some)
        assert quick.count(b"\n") == len(names)


def test_more_lines_than_its_buffer_holds():
    many = opens([b"y" * 4000] * 1009)
    assert made(Lines(parse(["open"])), many) == by_the_slow_way("open", many)


def test_quick_lines_too_end_after_so_many():
    assert made(Lines(parse(["open", "-n", "5"])), opens([b"a"] * 9)).count(b"\n") == 5
    assert made(Lines(parse(["open", "-n", "5"])), opens([b'"'] * 9)).count(b"\n") == 5


def test_a_row_that_points_outside_its_texts_is_not_followed():
    lost_text = Stream(opens([b"abc"]).events, b"", dict.fromkeys(LOSSES, 0))
    assert made(Lines(parse(["open"])), lost_text).count(b"\n") == 1


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(streamlines.time, "monotonic", lambda: now[0])
    return now


def test_advice_comes_once_when_losses_last(clock, capfd):
    loss = Loss()
    for _ in range(80):
        loss.note(1)
        clock[0] += 0.1
    said = capfd.readouterr().err
    assert said.count("--buffer-size") == 1 and said.count("\n") == 1


def test_a_short_loss_gives_no_advice(clock, capfd):
    loss = Loss()
    for step in range(300):
        loss.note(step % 30 == 0)
        clock[0] += 0.1
    assert capfd.readouterr().err == ""
