# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What `ebtop syscalls` writes of a snapshot, and what its options mean."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import synthetic

from ebtop.commands.syscallreport import json_report, text_report
from ebtop.errors import UsageError
from ebtop.model.layout import SYSCALL, Table
from ebtop.model.syscallnames import number_of
from ebtop.options.commandline import parse


def call(name: str, calls: int, bucket: int, **values: int) -> dict[str, int]:
    ns = 3 << bucket - 1
    return {
        "number": number_of(name), "calls": calls, "total_ns": calls * ns, "min_ns": ns,
        "max_ns": ns, "p50_ns": ns, "p95_ns": ns, "p99_ns": ns, f"histogram_{bucket}": calls,
        **values,
    }  # fmt: skip


def snapshot(*rows: dict[str, int], **changes: object):
    table = Table(SYSCALL, b"".join(SYSCALL.pack(row) for row in rows))
    return replace(synthetic.snapshot([]), syscalls=table, window_s=2.5, **changes)


SOME = snapshot(
    call("read", 7, 10, errors=2), call("openat", 11, 12), call("write", 3, 5), call("getpid", 5, 6)
)


def test_json_has_a_call_each_by_total_time():
    line = json_report(SOME, ())
    got = json.loads(line)
    assert line.endswith("}\n") and line.count("\n") == 1
    assert (got["schema"], got["type"], got["interval_s"]) == (1, "syscalls", 2.5)
    assert [one["name"] for one in got["syscalls"]] == ["openat", "read", "getpid", "write"]
    read = got["syscalls"][1]
    assert (read["calls"], read["errors"], read["p50_ns"]) == (7, 2, 1536)
    assert len(read["histogram"]) == 64 and read["histogram"][10] == 7


def test_only_those_named():
    assert [one["name"] for one in json.loads(json_report(SOME, ("read",)))["syscalls"]] == ["read"]
    text = text_report(SOME, ("read", "write"), False)
    assert "\nopenat" not in text and text.count("  p50 ") == 2


def test_text_is_a_table_and_the_first_drawn():
    lines = text_report(SOME, (), False).split("\n")
    assert lines[0].endswith("26 calls, 2 errors in 2.50s")
    assert lines[1].split()[:3] == ["CALL", "CALLS", "ERRORS"]
    assert [line.split()[0] for line in lines[2:6]] == ["openat", "read", "getpid", "write"]
    drawn = [line for line in lines if "  p50 " in line and "█" not in line]
    assert [line.split()[0] for line in drawn] == ["openat", "read", "getpid"]
    assert any("1.02µs" in line and "█" in line for line in lines)


def test_ascii_is_ascii():
    assert text_report(SOME, (), True).isascii()
    assert "us" in text_report(SOME, (), True)


def test_what_was_not_counted_is_said():
    cost = SOME.self_cost
    lost = replace(SOME, self_cost=replace(cost, lost_total={**cost.lost_total, "syscalls": 4}))
    assert "4 not counted" in text_report(lost, (), False).split("\n")[0]
    assert json.loads(json_report(lost, ()))["lost"]["syscalls"] == 4
    assert "not counted" not in text_report(SOME, (), False)


def test_no_call_is_no_table():
    assert text_report(snapshot(), (), False).split("\n")[0].endswith("0 calls, 0 errors in 2.50s")
    assert json.loads(json_report(snapshot(), ()))["syscalls"] == []


def test_options_say_when_and_which():
    assert math.isinf(parse(["syscalls"]).delay_s)
    assert parse(["syscalls", "-n", "3"]).delay_s == 1.0
    words = "-S openat,read -S write -p 7 --descendants --min-latency 5ms"
    asked = parse(["syscalls", *words.split()])
    assert asked.syscalls == ("openat", "read", "write")
    assert (asked.pids, asked.descendants, asked.min_latency_ns) == ((7,), True, 5_000_000)


@pytest.mark.parametrize("words", ["-S nonsense", "-S read,", "-p 1,2", "--descendants", "more"])
def test_wrong_options_are_refused(words):
    with pytest.raises(UsageError):
        parse(["syscalls", *words.split()])
