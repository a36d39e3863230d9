# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What the /proc source says must be true of the files it read, and of bad files nothing at all."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterable

import pytest
from fakeproc import TICK_NS, FakeProc

from ebtop.model.layout import BORN, EXITED, KERNEL, KNOWN_BIT, RAN
from ebtop.model.process_table import name_of
from ebtop.model.syscallnames import COMPAT
from ebtop.sources import cpustat
from ebtop.sources.procfs import ProcSource
from ebtop.sources.procparse import (
    PAGE_BYTES,
    parse_io,
    parse_machine,
    parse_schedstat,
    parse_stat,
    parse_status,
    parse_syscall,
)


@pytest.fixture
def proc(tmp_path):
    return FakeProc(tmp_path)


def known(row, name):
    return bool(row["known"] >> KNOWN_BIT[name] & 1)


def by_pid(snapshot):
    return {row["pid"]: row for row in snapshot.processes.rows()}


def second(proc, change, **options):
    """The rows of an interval in which `change` happened."""
    source = ProcSource(root=str(proc.root))
    source.refresh(**options)
    change()
    return source.refresh(**options)


def test_time_of_a_single_thread_is_the_schedulers(proc):
    proc.put(7, schedstat=(1000, 500, 3), utime=1, voluntary=2, involuntary=1)
    row = by_pid(second(proc, lambda: proc.put(
        7, schedstat=(5000, 900, 5), utime=1, voluntary=5, involuntary=3, minflt=7,
    )))[7]  # fmt: skip
    assert (row["oncpu_ns"], row["runq_wait_ns"], row["user_ns"]) == (4000, 400, 0)
    assert (row["voluntary_switches"], row["involuntary_switches"]) == (3, 2)
    assert row["minor_faults"] == 7
    assert row["flags"] & RAN


def test_disk_bytes_are_those_of_the_interval_and_the_call_is_that_of_now(proc):
    proc.put(7, io=(5000, 70), syscall="running")
    call = "0 0x3 0x0 0x1 0x0 0x0 0x0 0x7ffe00000000 0x7f0000000000"
    row = by_pid(second(proc, lambda: proc.put(
        7, schedstat=(5, 0, 1), io=(5000 + 4096, 70 + 8192), syscall=call,
    )))[7]  # fmt: skip
    assert (row["disk_read_bytes"], row["disk_write_bytes"]) == (4096, 8192)
    assert known(row, "disk_read_bytes") and not known(row, "disk_reads")
    assert row["call"] == 1 and row["call_since_ns"] == 0


def test_what_the_reader_may_not_know_is_unknown(proc):
    proc.put(7)
    proc.put(8, io=(1, 1))

    def change():
        proc.put(7, schedstat=(5, 0, 1), io=(1, 1))
        (proc.put(8, schedstat=(5, 0, 1)) / "io").unlink()

    found = by_pid(second(proc, change))
    assert not known(found[7], "disk_read_bytes") and not known(found[8], "disk_read_bytes")
    assert found[7]["call"] == found[8]["call"] == 0


def test_who_sleeps_had_nothing_from_disks_and_stays_in_its_call(proc):
    call = "7 0x3 0x0 0x1 0x0 0x0 0x0 0x7ffe00000000 0x7f0000000000"
    proc.put(7, schedstat=(5, 5, 5), io=(9, 9), syscall=call)
    source = ProcSource(root=str(proc.root))
    for _ in range(3):
        row = by_pid(source.refresh())[7]
    assert known(row, "disk_read_bytes") and row["disk_read_bytes"] == 0 and row["call"] == 8


def test_disk_bytes_of_threads_are_their_own(proc):
    proc.put(7, threads=2, io=(100, 0))
    proc.put_thread(7, 7, io=(10, 0))
    proc.put_thread(7, 8, io=(90, 0))
    snapshot = second(proc, lambda: (
        proc.put(7, threads=2, io=(350, 0)), proc.put_thread(7, 7, io=(60, 0)),
        proc.put_thread(7, 8, io=(290, 0)),
    ), threads=True)  # fmt: skip
    assert by_pid(snapshot)[7]["disk_read_bytes"] == 250
    assert {r["tid"]: r["disk_read_bytes"] for r in snapshot.threads.rows()} == {7: 50, 8: 200}


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("running", 0),
        ("-1 0x7ffe00000000 0x7f0000000000", 0),
        ("0 0x3 0x0 0x1 0x0 0x0 0x0 0x7ffe00000000 0x7f0000000000", 1),
        ("202 0x3 0x0 0x1 0x0 0x0 0x0 0xc000050000 0x401000", 203),
        ("3 0x3 0x0 0x1 0x0 0x0 0x0 0xffffd000 0xf7fc0000", 4 + COMPAT),  # 32-bit read(2)
        ("0 0x0 0x0 0x0 0x0 0x0 0x0 0x0 0x0", 0),  # a thread of the kernel
        ("9999 0x3 0x0 0x1 0x0 0x0 0x0 0x7ffe00000000 0x7f0000000000", 0),
        ("0 0x3 0x0", 0),
        ("x 0x3 0x0 0x1 0x0 0x0 0x0 0x7ffe00000000 0x7f0000000000", 0),
        ("0 0x3 0x0 0x1 0x0 0x0 0x0 zz 0x7f0000000000", 0),
        ("", 0),
    ],
)
def test_the_call_that_a_task_sleeps_in(text, call):
    assert parse_syscall(text.encode()) == call


@pytest.mark.parametrize(
    "text", ["", "read_bytes: 1\n", "read_bytes: -1\nwrite_bytes: 2\n", "read_bytes 1\nx", "\0"]
)
def test_half_an_account_of_disks_is_none(text):
    assert parse_io(text.encode()) == (None, None)


def test_a_process_whose_leader_has_ended_has_the_memory_and_state_of_a_thread(proc):
    proc.put(7, state="Z", threads=2, rss=0, vsize=0, comm="prog")
    proc.put_thread(7, 7, state="Z", rss=0, vsize=0)
    proc.put_thread(7, 9, state="D", rss=5, vsize=8192, comm="pool")
    row = by_pid(second(proc, lambda: None))[7]
    assert (row["rss_bytes"], row["virtual_bytes"]) == (5 * PAGE_BYTES, 8192)
    assert (chr(row["state"]), row["comm"]) == ("D", b"prog")
    assert not row["flags"] & EXITED


def test_a_kernel_thread_has_its_whole_name(proc):
    name = "kworker/1:1H-kblockd"
    proc.put(7, flags=0x00200000, comm=name)
    proc.put(8, comm="a program's name")
    snapshot = second(proc, lambda: None)
    rows = by_pid(snapshot)
    assert name_of(rows[7], snapshot) == name.encode()
    assert name_of(rows[8], snapshot) == b"a program's nam"


def test_threads_know_their_process(proc):
    proc.put(7, threads=2, comm="prog")
    proc.put_thread(7, 7, comm="prog")
    proc.put_thread(7, 9, comm="pool")
    rows = {row["tid"]: row for row in second(proc, lambda: None, threads=True).threads.rows()}
    assert (rows[9]["comm"], rows[9]["process_comm"]) == (b"pool", b"prog")


def test_time_of_many_threads_is_of_ticks_and_no_value_is_the_leaders_alone(proc):
    proc.put(7, threads=3, schedstat=(1000, 500, 3), utime=10, stime=5, voluntary=1)
    row = by_pid(second(proc, lambda: proc.put(
        7, threads=3, schedstat=(2000, 600, 9), utime=40, stime=6, voluntary=9)))[7]  # fmt: skip
    assert row["oncpu_ns"] == 31 * TICK_NS
    for name in ("runq_wait_ns", "voluntary_switches", "involuntary_switches"):
        assert not known(row, name)


def test_time_of_threads_that_came_and_went_is_not_lost(proc):
    proc.put(7, schedstat=(1000, 0, 1), utime=0)
    row = by_pid(second(proc, lambda: proc.put(7, schedstat=(2000, 0, 2), utime=50)))[7]
    assert row["oncpu_ns"] == 50 * TICK_NS


def test_without_schedstat_ticks_are_used_and_run_queue_wait_is_unknown(proc):
    proc.put(7, schedstat=None, utime=1)
    row = by_pid(second(proc, lambda: proc.put(7, schedstat=None, utime=4)))[7]
    assert row["oncpu_ns"] == 3 * TICK_NS
    assert not known(row, "runq_wait_ns")


def test_what_proc_cannot_know_is_unknown(proc):
    proc.put(7, schedstat=(1, 1, 1))
    snapshot = second(proc, lambda: proc.put(7, schedstat=(2, 2, 2)))
    row = by_pid(snapshot)[7]
    for name in ("offcpu_ns", "migrations", "cgroup_id"):
        assert not known(row, name)
    system = snapshot.system
    assert (system.started, system.exited, system.execs) == (None, None, None)


def test_the_first_refresh_knows_no_interval(proc):
    proc.put(7, schedstat=(1000, 500, 3), utime=9)
    source = ProcSource(root=str(proc.root))
    snapshot = source.refresh()
    assert snapshot.interval_s == 0 and snapshot.system.active == 0
    assert not known(by_pid(snapshot)[7], "oncpu_ns")
    assert snapshot.system.cpu_percent is None


def test_those_that_ran_come_first(proc):
    for pid in range(1, 9):
        proc.put(pid, schedstat=(10, 10, 10))
    snapshot = second(proc, lambda: proc.put(6, schedstat=(20, 10, 11)))
    assert [row["pid"] for row in snapshot.processes.rows()] == [6, 1, 2, 3, 4, 5, 7, 8]
    assert snapshot.system.active == 1


def test_a_process_born_in_the_interval_has_its_whole_time(proc):
    boot_ticks = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 100) + 1
    row = by_pid(second(proc, lambda: proc.put(
        9, start=boot_ticks, schedstat=(700, 20, 2), voluntary=1)))[9]  # fmt: skip
    assert row["flags"] & BORN and row["oncpu_ns"] == 700


def test_a_process_that_was_only_hidden_before_is_not_born(proc):
    row = by_pid(second(proc, lambda: proc.put(9, start=5, schedstat=(700, 20, 2))))[9]
    assert not row["flags"] & BORN
    assert not known(row, "oncpu_ns")


def test_a_reused_pid_inherits_nothing(proc):
    proc.put(9, start=5, schedstat=(5_000_000, 0, 2))
    row = by_pid(second(proc, lambda: proc.put(9, start=80, schedstat=(5_000_100, 0, 3))))[9]
    assert row["start_ns"] == 80 * TICK_NS
    assert not known(row, "oncpu_ns") and row["oncpu_ns"] == 0


def test_counter_never_goes_backwards(proc):
    proc.put(9, schedstat=(5000, 700, 9), utime=90, voluntary=9, minflt=9)
    row = by_pid(second(proc, lambda: proc.put(9, schedstat=(4000, 600, 8), utime=80)))[9]
    for name in ("oncpu_ns", "user_ns", "runq_wait_ns", "voluntary_switches", "minor_faults"):
        assert row[name] == 0


def test_a_process_that_is_gone_is_not_shown(proc):
    proc.put(9, schedstat=(5, 5, 5))
    proc.put(8, schedstat=(5, 5, 5))
    snapshot = second(proc, lambda: shutil.rmtree(proc.root / "9"))
    assert list(by_pid(snapshot)) == [8]


def test_an_orphan_that_never_ran_has_its_new_parent(proc):
    proc.put(8, schedstat=(5, 5, 5))
    proc.put(9, ppid=8, schedstat=(5, 5, 5))

    def parent_dies():
        shutil.rmtree(proc.root / "8")
        proc.put(9, ppid=1, schedstat=(5, 5, 5))

    assert by_pid(second(proc, parent_dies))[9]["ppid"] == 1


def test_zombies_and_kernel_threads_have_no_memory(proc):
    proc.put(8, state="Z", exit_code=256, schedstat=(5, 5, 5))
    proc.put(9, flags=0x00200040, schedstat=(5, 5, 5))
    rows = by_pid(second(proc, lambda: None))
    assert rows[8]["flags"] & EXITED and rows[8]["exit_code"] == 256
    assert rows[9]["flags"] & KERNEL
    assert not known(rows[8], "rss_bytes") and not known(rows[9], "rss_bytes")


def test_a_zombie_leader_with_threads_lives_on(proc):
    proc.put(8, state="Z", threads=2, schedstat=(5, 5, 5))
    assert not by_pid(second(proc, lambda: None))[8]["flags"] & EXITED


def test_cumulative_values_add_up_and_begin_anew_at_a_reset(proc):
    source = ProcSource(root=str(proc.root))
    proc.put(7, schedstat=(100, 0, 1))
    source.refresh(cumulative=True)
    seen = []
    for total in (150, 250, 400):
        proc.put(7, schedstat=(total, 0, total))
        snapshot = source.refresh(cumulative=True, reset=total == 250)
        seen.append(by_pid(snapshot)[7]["oncpu_ns"])
    assert seen == [50, 150, 150]
    assert snapshot.system.active == 1


def test_threads_have_rows_of_their_own(proc):
    proc.put(7, threads=2, schedstat=(1, 1, 1))
    proc.put_thread(7, 7, threads=2, schedstat=(1, 1, 1))
    proc.put_thread(7, 70, threads=2, schedstat=(10, 10, 1), comm="worker")
    proc.put(5, schedstat=(1, 1, 1))
    snapshot = second(
        proc,
        lambda: proc.put_thread(7, 70, threads=2, schedstat=(90, 15, 2), comm="worker"),
        threads=True,
    )
    rows = {row["tid"]: row for row in snapshot.threads.rows()}
    assert sorted(rows) == [5, 7, 70]
    assert (rows[70]["pid"], rows[70]["comm"]) == (7, b"worker")
    assert (rows[70]["oncpu_ns"], rows[70]["runq_wait_ns"]) == (80, 5)


def test_of_the_process_that_is_looked_at_threads_are_read_too(proc):
    for pid in (7, 9):
        proc.put(pid, threads=2)
        proc.put_thread(pid, pid)
        proc.put_thread(pid, pid + 1, syscall="7 0 0 0 0 0 0 0x7ffe00000000 0x7f0000000000")
    proc.put(20, syscall="0 0 0 0 0 0 0 0x7ffe00000000 0x7f0000000000")
    source = ProcSource(root=str(proc.root))
    assert not len(source.refresh().threads)
    for pid, found in ((7, {7: 0, 8: 8}), (20, {20: 1}), (99, {}), (0, {})):
        source.look_at(pid)
        rows = list(source.refresh().threads.rows())
        assert {row["tid"]: row["call"] for row in rows} == found
        assert all(row["pid"] == pid for row in rows)


def test_cpus_and_switches_of_the_machine(proc, monkeypatch):
    monkeypatch.setattr(cpustat, "_LEAST_NS", 0)

    def time_passes():
        (proc.root / "stat").write_text("cpu0 150 0 100 850 0 0 0 0 0 0\nctxt 90\n")

    snapshot = second(proc, time_passes)
    (cpu,) = snapshot.cpus.rows()
    assert (cpu["cpu"], cpu["user_ns"], cpu["idle_ns"]) == (0, 50 * TICK_NS, 50 * TICK_NS)
    parts = snapshot.system.cpu_parts
    assert (parts.user, parts.idle, snapshot.system.cpu_percent) == (50, 50, 50)
    assert snapshot.system.context_switches == 40


def test_strange_names_are_kept_as_they_are(proc):
    for pid, name in enumerate((b") S 1 (", b"a\nb", b"\xff\x1b[2J", b"", b"(((", b"x" * 60), 10):
        proc.put(pid, comm=name, schedstat=(1, 1, 1))
        assert by_pid(second(proc, lambda: None))[pid]["comm"] == name[:15]


# ---- bad files ----


GARBAGE = (
    b"", b"\0" * 100, b"7 (x", b"7 (x) S", b"-1 " * 60, b"x" * 100_000, b"7 (x) S " + b"9" * 90,
)  # fmt: skip


@pytest.mark.parametrize("name", ["stat", "status", "schedstat"])
@pytest.mark.parametrize("content", GARBAGE)
def test_a_garbage_file_costs_at_most_its_own_row(proc, name, content):
    proc.put(8, schedstat=(5, 5, 5))
    path = proc.put(9, schedstat=(5, 5, 5))

    def spoil():
        proc.put(9, schedstat=(9, 9, 9))
        (path / name).write_bytes(content)

    assert 8 in by_pid(second(proc, spoil))


@pytest.mark.parametrize("name", ["stat", "status", "schedstat"])
def test_a_file_that_is_a_fifo_a_folder_or_missing_does_no_harm(proc, name):
    for pid, make in ((9, os.mkfifo), (10, os.mkdir), (11, lambda path: None)):
        path = proc.put(pid, schedstat=(5, 5, 5)) / name
        path.unlink()
        make(path)
    proc.put(8, schedstat=(5, 5, 5))
    assert 8 in by_pid(second(proc, lambda: None))


def test_names_in_proc_that_are_no_pids_are_passed_over(proc):
    for name in ("0", "self", "٣", "99999999999999999999", "-3", "1e3"):
        (proc.root / name).mkdir()
    assert by_pid(second(proc, lambda: None)) == {}


def test_no_proc_at_all_is_an_empty_machine(tmp_path):
    source = ProcSource(root=str(tmp_path / "none"))
    source.refresh()
    snapshot = source.refresh(threads=True)
    assert len(snapshot.processes) == 0 and snapshot.host.load is None


def test_any_cut_or_flipped_file_is_read_without_a_crash(proc):
    rng = random.Random(2)
    path = proc.put(9, schedstat=(5, 5, 5), comm="n)m(e")
    source = ProcSource(root=str(proc.root))
    whole = {name: (path / name).read_bytes() for name in ("stat", "status", "schedstat")}
    machine = (proc.root / "stat").read_bytes()
    for _ in range(400):
        for name, data in whole.items():
            (path / name).write_bytes(_spoilt(rng, data))
        (proc.root / "stat").write_bytes(_spoilt(rng, machine))
        snapshot = source.refresh(threads=True)
        assert {row["pid"] for row in snapshot.processes.rows()} <= {9}


def test_parsers_survive_twenty_thousand_bad_texts():
    rng = random.Random(1)
    with open("/proc/self/stat", "rb") as stat, open("/proc/self/status", "rb") as status:
        seeds = [stat.read(), status.read(), b"1 2 3\n", b"cpu0 1 2 3 4 5 6 7 8\nctxt 5\n"]
    for i in range(20_000):
        data = _spoilt(rng, seeds[i % len(seeds)])
        for parse in (parse_stat, parse_status, parse_schedstat, parse_machine):
            assert all(value >= 0 for value in _numbers(parse(data))), data


def _numbers(found):
    """All numbers in what a parser returned; an exit status may be any."""
    if isinstance(found, dict):
        found = found.values()
    if isinstance(found, int):
        yield found
    elif isinstance(found, Iterable) and not isinstance(found, (bytes, str)):
        for one in found:
            yield from _numbers(one)


def _spoilt(rng, data):
    data = bytearray(data[: rng.randrange(len(data) + 1)] if rng.random() < 0.3 else data)
    for _ in range(rng.randrange(1, 6)):
        if data:
            place = rng.randrange(len(data))
            choice = rng.random()
            if choice < 0.5:
                data[place] = rng.randrange(256)
            elif choice < 0.8:
                data[place:place] = rng.choice((b"9" * 20, b"-", b" ", b")", b"\n", b"_", b"\xb2"))
            else:
                del data[place : place + rng.randrange(1, 9)]
    return bytes(data)


# ---- the real one ----


def test_a_spinning_child_has_its_cpu_time():
    source = ProcSource()
    source.refresh()
    with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as child:
        time.sleep(0.3)
        row = by_pid(source.refresh())[child.pid]
        child.kill()
        _, _, usage = os.wait4(child.pid, 0)
        child.returncode = -9
    assert row["flags"] & BORN and row["flags"] & RAN
    # what it ran until it was killed is a little more than what it had when it was looked at
    used_ns = (usage.ru_utime + usage.ru_stime) * 1e9
    assert 0 < row["oncpu_ns"] <= used_ns + 2 * TICK_NS
    assert row["ppid"] == os.getpid()


def test_a_fork_storm_is_survived():
    source = ProcSource()
    storm = "i=0; while [ $i -lt 2000 ]; do (:); i=$((i+1)); done"
    with subprocess.Popen(["sh", "-c", storm]) as child:
        for _ in range(200):
            rows = by_pid(source.refresh(threads=True))
            assert os.getpid() in rows
            if child.poll() is not None:
                break
        child.kill()
