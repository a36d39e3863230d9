# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Computes the kernel memory of ebtop's maps on a large machine from their live definitions.

What a running session has created is listed and scaled: entries that follow the number of CPUs or
pid_max here follow those of the large machine there. An unknown relation ends the bench, so that
a new map cannot be forgotten.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from report import Report

import bpf
from ebtop.sources.bpf import Session
from ebtop.sources.room import Room

CPUS = 128
PID_MAX = 4_194_304
"""What Linux sets on 64-bit machines of 32 CPUs and more, at most."""
THREADS = 65_536
PIDS_PER_PAGE = 16
SYSCALL_NUMBERS = 1024
NOTES, DISK_OWNERS, DISKS = 16384, 2048, 256
"""As in csrc/probes/block.c and bpf/abi.h."""
CONNECTIONS, STACKS, FILES = 65_536, 4_096, 512
"""As in csrc/shared/maps.c."""
TCP_MAPS = ("connections", "tcp_slots")
SHARDS_MAX = 16
"""As in csrc/shared/maps.c: CPUs beyond them share."""
PAGE = 4096


def run(report: Report) -> None:
    report.heading(f"Kernel memory of all maps: {CPUS} possible CPUs, pid_max {PID_MAX}")
    before = set(bpf.maps())
    with Session(room=Room(threads=THREADS, connections=CONNECTIONS)) as session:
        session.refresh()
        found = [shape for number, shape in bpf.maps().items() if number not in before]
    rows, total, here = [], 0, 0
    for shape in sorted(found, key=lambda shape: -_bytes(shape, CPUS)):
        size = _bytes(shape, CPUS)
        total += size
        here += shape.get("bytes_memlock", 0)
        rows.append(
            (
                shape.get("name", "?"),
                shape["type"],
                str(shape["max_entries"]),
                str(_entries(shape)),
                str(shape["bytes_value"]),
                f"{size / 2**20:.2f}",
            )
        )
    report.table(("map", "type", "entries here", "there", "bytes each", "MiB there"), rows)
    report.say(
        f"\nHere the kernel accounts {here / 2**20:.1f} MiB. The slots are for {THREADS} threads"
        "\nand are all there from the start: 10,000 threads need no more, and none are added."
    )
    report.goal("kernel memory of all maps", total / 2**20, 64, " MiB")
    own = sum(_bytes(shape, CPUS) for shape in found if shape.get("name") in TCP_MAPS)
    report.goal(f"kernel memory for {CONNECTIONS} connections", own / 2**20, 32, " MiB")


def _entries(shape: dict[str, Any]) -> int:
    """How many entries the map would have there."""
    cpus, pid_max = _possible_cpus(), int(Path("/proc/sys/kernel/pid_max").read_text())
    name, here = shape.get("name", ""), int(shape["max_entries"])
    scaled = {
        "slots": (1 + cpus + THREADS, 1 + CPUS + THREADS),
        "pid_pages": (pid_max // PIDS_PER_PAGE + 1, PID_MAX // PIDS_PER_PAGE + 1),
        "free_slots": (cpus, CPUS),
        "syscall_slots": (1 + cpus + THREADS, 1 + CPUS + THREADS),
        "wait_slots": (1 + cpus + THREADS, 1 + CPUS + THREADS),
        "file_slots": (1 + cpus + THREADS, 1 + CPUS + THREADS),
        "mem_slots": (1 + cpus + THREADS, 1 + CPUS + THREADS),
        "file_counts": (FILES, FILES),
        "tcp_slots": (1 + cpus + THREADS, 1 + CPUS + THREADS),
        "connections": (CONNECTIONS, CONNECTIONS),
        "wait_stacks": (STACKS, STACKS),
        "stack_counts": (STACKS // 4, STACKS // 4),
        "block_notes": (NOTES, NOTES),
        "block_owners": (DISK_OWNERS, DISK_OWNERS),
        "block_shards": (DISKS * min(_shards(cpus), 4), DISKS * min(_shards(CPUS), 4)),
        "block_ends": (1 + cpus + THREADS, 1 + CPUS + THREADS),
        "syscall_shards": (_shards(cpus) * SYSCALL_NUMBERS, _shards(CPUS) * SYSCALL_NUMBERS),
    }
    if name in scaled:
        expected, there = scaled[name]
        if here != expected:
            raise SystemExit(f"map {name} has {here} entries, not {expected}: how does it scale?")
        return there
    if here > 64 and shape["type"] != "ringbuf":
        raise SystemExit(f"map {name} has {here} entries: how does it scale?")
    return here


def _bytes(shape: dict[str, Any], cpus: int) -> int:
    """As kernel/bpf/arraymap.c, hashtab.c and ringbuf.c allocate it, in whole pages."""
    entries, value = _entries(shape), (int(shape["bytes_value"]) + 7) // 8 * 8
    if shape["type"] == "ringbuf":
        size = entries + 3 * PAGE + (entries // PAGE * 2) * 8
    elif shape["type"].startswith("percpu"):
        size = entries * (value * cpus + 8)
    elif shape["type"].endswith("hash"):
        # an element's head of 48 bytes, its key, its value; and buckets of 16 bytes
        key = (int(shape["bytes_key"]) + 7) // 8 * 8
        size = entries * (48 + key + value) + (1 << (entries - 1).bit_length()) * 16
    else:
        size = entries * value
    return (size + PAGE - 1) // PAGE * PAGE + PAGE


def _shards(cpus: int) -> int:
    shards = 1
    while shards < min(cpus, SHARDS_MAX):
        shards *= 2
    return shards


def _possible_cpus() -> int:
    last = Path("/sys/devices/system/cpu/possible").read_text().strip().split(",")[-1]
    return int(last.split("-")[-1]) + 1 if last else os.cpu_count() or 1
