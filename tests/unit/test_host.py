# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The facts of the header are read or unknown, whatever the files hold."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time

import pytest

from ebtop.sources import host


def test_facts_of_this_machine_are_all_known():
    facts = host.read_host()
    assert None not in (facts.uptime_s, facts.load, facts.memory_available_bytes)
    assert facts.memory_total_bytes > facts.memory_available_bytes > 0
    assert facts.name == os.uname().nodename.encode()
    assert 1 <= facts.cpus <= 1 << 16


def test_missing_files_are_unknown_values(tmp_path):
    facts = host.read_host(str(tmp_path), str(tmp_path))
    assert (facts.uptime_s, facts.load) == (None, None)
    assert (facts.memory_total_bytes, facts.memory_available_bytes) == (None, None)
    assert facts.cpus >= 1


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        (b"0", [0]),
        (b"0-3\n", [0, 1, 2, 3]),
        (b"0,3-5,9", [0, 3, 4, 5, 9]),
        (b"", None),
        (b"5-3", None),
        (b"0-99999999", None),
        (b"0,,1", None),
        (b"a-b", None),
        (b"0-", None),
    ],
)
def test_cpu_lists(text, cpus):
    assert host.parse_cpu_list(text) == cpus


@pytest.mark.parametrize("text", [b"", b"x", b"nan 1 1", b"-1 0 0", b"1 2", b"inf 1 1", b"\xff"])
def test_a_garbage_load_is_unknown(text):
    assert host.parse_loadavg(text) is None


def test_meminfo_in_any_order_and_with_garbage_between():
    text = b"\0\nMemAvailable:  4 kB\nMemFree\nMemTotal: x kB\nMemTotal: 8 kB\n"
    assert host.parse_meminfo(text) == {b"MemAvailable": 4096, b"MemTotal": 8192}


def test_swap_and_huge_pages_are_bytes(tmp_path):
    (tmp_path / "meminfo").write_text(
        "SwapTotal: 30 kB\nSwapFree: 10 kB\nHugePages_Total: 5\nHugePages_Free: 2\n"
        "Hugepagesize: 2048 kB\nAnonHugePages: 4096 kB\n"
    )
    facts = host.read_host(str(tmp_path))
    assert (facts.swap_total_bytes, facts.swap_free_bytes) == (30 << 10, 10 << 10)
    assert (facts.huge_pages_total_bytes, facts.huge_pages_free_bytes) == (10 << 20, 4 << 20)
    assert facts.anon_huge_pages_bytes == 4 << 20


def test_pressure_is_that_of_ten_seconds_and_none_where_it_is_not_kept(tmp_path):
    assert host.read_pressure(str(tmp_path)) is None
    (tmp_path / "pressure").mkdir()
    line = "some avg10=1.50 avg60=9.00 avg300=9.00 total=9\n"
    (tmp_path / "pressure/cpu").write_text(line)
    (tmp_path / "pressure/io").write_text(line + line.replace("some", "full").replace("1.5", "0.5"))
    assert host.read_pressure(str(tmp_path)) == {
        "cpu": (1.5, None), "memory": (None, None), "io": (1.5, 0.5),
    }  # fmt: skip


@pytest.mark.parametrize("text", [b"", b"some", b"some avg10=", b"some avg10=nan", b"full x=1",
                                  b"some avg10=101"])  # fmt: skip
def test_a_garbage_pressure_is_unknown(text):
    assert host.parse_pressure(text) == (None, None)


def test_parsers_survive_random_bytes():
    rng = random.Random(3)
    for _ in range(5000):
        data = bytes(rng.choices(b"0123456789-,. \nMemTotal:kB\xff\0", k=rng.randrange(40)))
        cpus = host.parse_cpu_list(data)
        assert cpus is None or (cpus == sorted(set(cpus)) and min(cpus) >= 0)
        assert all(value >= 0 for value in host.parse_loadavg(data) or ())
        assert (host.parse_uptime(data) or 0) >= 0
        assert all(value >= 0 for value in host.parse_meminfo(data).values())


def test_a_uid_without_a_name_is_missing():
    assert host.users([0, 3_999_999_999]) == {0: "root"}


def test_each_uid_is_looked_up_once(monkeypatch):
    asked = []
    monkeypatch.setattr(host, "_user_name", lambda uid: asked.append(uid))
    host.users([77001, 77001])
    host.users([77001])
    assert asked == [77001]


def test_own_cost_has_the_helpers_in_it(monkeypatch):
    monkeypatch.setattr(host, "_helpers", set())
    alone = host.self_usage()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as helper:
        time.sleep(0.2)
        host.count_in(helper.pid)
        together = host.self_usage()
        helper.communicate(b"\n")
    assert together.rss_bytes > alone.rss_bytes + (1 << 20)
    assert host.self_usage().rss_bytes < together.rss_bytes
