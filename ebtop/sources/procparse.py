# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns how the text of /proc/PID/* and /proc/stat becomes numbers. Pure: it reads no file.

A parser returns None for text that the kernel would not write (truncated, empty, forged), so that
only complete and plausible numbers are used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from ebtop.model.syscallnames import COMPAT

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

_COMM_BYTES, _NAME_BYTES = 15, 63
_PF_KTHREAD = 0x00200000
_STATES = b"RSDTtZXxKWPIC"
_MOST = (1 << 63) - 1
_MOST_32 = (1 << 32) - 1


class Stat(NamedTuple):
    """What is used of /proc/PID/stat, in the units of a row."""

    comm: bytes
    name: bytes
    """Whole; of a kernel thread it may be longer than `comm`."""
    state: int
    ppid: int
    kernel_thread: bool
    minor_faults: int
    major_faults: int
    user_ns: int
    kernel_ns: int
    threads: int
    start_ns: int
    virtual_bytes: int
    rss_bytes: int
    exit_code: int | None


class Status(NamedTuple):
    """What is used of /proc/PID/status; None where the kernel does not say it."""

    uid: int | None
    peak_rss_bytes: int | None
    voluntary_switches: int | None
    involuntary_switches: int | None


def number(word: bytes, most: int = _MOST) -> int:
    """A plain decimal number; int() alone would also take b"+1", b"1_000" and any length."""
    if not word.isdigit() or len(word) > 19:
        raise ValueError(word)
    value = int(word)
    if value > most:
        raise ValueError(word)
    return value


def parse_io(data: bytes | None) -> tuple[int | None, int | None]:
    """Bytes that a task had from disks, and gave to them or left in the page cache for them."""
    found = dict(line.partition(b": ")[::2] for line in (data or b"").split(b"\n"))
    try:
        return number(found[b"read_bytes"]), number(found[b"write_bytes"])
    except (KeyError, ValueError):
        return None, None


def parse_syscall(data: bytes | None) -> int:
    """1 + the number of the system call that a task sleeps in, as in a row; 0: none, or unknown.

    A 32-bit call is told by where stack and code are: the kernel says nothing else of it.
    """
    words = (data or b"").split()
    if len(words) != 9:  # it runs, or sleeps in no call
        return 0
    try:
        call = number(words[0], COMPAT - 1)
        stack, code = (int(word, 16) for word in words[7:])
    except ValueError:
        return 0
    if not code:  # a thread of the kernel: it has none
        return 0
    return 1 + call + (COMPAT if max(stack, code) <= _MOST_32 else 0)


def _ticks(word: bytes) -> int:
    return number(word, _MOST // TICK_NS) * TICK_NS


def parse_stat(data: bytes | None) -> Stat | None:
    """The comm may contain blanks and parentheses: it ends at the last parenthesis."""
    head, found, tail = (data or b"").rpartition(b")")
    _, opened, comm = head.partition(b"(")
    words = tail.split()
    if not found or not opened or len(words) < 22:
        return None
    state, ppid, flags = words[0], words[1], words[6]
    if len(state) != 1 or state not in _STATES:
        return None
    try:
        return Stat(
            comm=comm[:_COMM_BYTES],
            name=comm[:_NAME_BYTES],
            state=state[0],
            ppid=number(ppid, _MOST_32),
            kernel_thread=bool(number(flags) & _PF_KTHREAD),
            minor_faults=number(words[7]),
            major_faults=number(words[9]),
            user_ns=_ticks(words[11]),
            kernel_ns=_ticks(words[12]),
            threads=number(words[17], _MOST_32),
            start_ns=_ticks(words[19]),
            virtual_bytes=number(words[20]),
            rss_bytes=number(words[21], _MOST // PAGE_BYTES) * PAGE_BYTES,
            exit_code=number(words[49], _MOST_32 >> 1) if len(words) > 49 else None,
        )
    except ValueError:
        return None


def parse_schedstat(data: bytes | None) -> tuple[int, int, int] | None:
    """Time on a CPU, time waiting for one (ns), times it was given one.

    A kernel without schedstats writes zeros, as does a kernel for a task that has never run; the
    ticks in `stat` are then as good. Hence None for both.
    """
    words = (data or b"").split()
    try:
        oncpu_ns, wait_ns, slices = (number(word) for word in words)
    except ValueError:
        return None
    return (oncpu_ns, wait_ns, slices) if slices else None


def parse_status(data: bytes | None) -> Status:
    found: dict[bytes, int] = {}
    for line in (data or b"").split(b"\n"):
        name, _, rest = line.partition(b":")
        if name in _STATUS_WORD:
            try:
                word = rest.split()[_STATUS_WORD[name]]
                found.setdefault(name, number(word, _MOST >> 10))
            except (IndexError, ValueError):
                continue
    uid = found.get(b"Uid", _MOST)
    peak = found.get(b"VmHWM")
    return Status(
        uid=uid if uid <= _MOST_32 else None,
        peak_rss_bytes=None if peak is None else peak * 1024,
        voluntary_switches=found.get(b"voluntary_ctxt_switches"),
        involuntary_switches=found.get(b"nonvoluntary_ctxt_switches"),
    )


_STATUS_WORD = {
    b"Uid": 1,  # real, effective, saved, file system: the effective one, as every ps and top
    b"VmHWM": 0,
    b"voluntary_ctxt_switches": 0,
    b"nonvoluntary_ctxt_switches": 0,
}


CPU_PARTS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest")
"""What /proc/stat divides the time of a CPU into; guests are taken out of user and nice."""


class Machine(NamedTuple):
    """What is used of /proc/stat: the time of each CPU by part, and all context switches."""

    cpus: dict[int, dict[str, int]]
    context_switches: int | None


def parse_machine(data: bytes | None) -> Machine:
    lines = (data or b"").split(b"\n")
    switches = None
    for line in lines:
        if line.startswith(b"ctxt "):
            try:
                switches = number(line[5:].strip())
            except ValueError:
                break
    return Machine(dict(_cpu_times(lines)), switches)


def _cpu_times(lines: list[bytes]) -> Iterator[tuple[int, dict[str, int]]]:
    for line in lines:
        name, _, rest = line.partition(b" ")
        if not name.startswith(b"cpu") or name == b"cpu":
            continue
        try:
            times = [_ticks(word) for word in rest.split()[:10]]
            cpu = number(name[3:], 1 << 16)
        except ValueError:
            continue
        if len(times) >= 4:
            yield cpu, _parts(times + [0] * (10 - len(times)))


def _parts(times: list[int]) -> dict[str, int]:
    """Guests are counted as user or nice too, and their nice ones apart."""
    parts = dict(zip(CPU_PARTS, times))
    parts["user"] -= min(times[8], times[0])
    parts["nice"] -= min(times[9], times[1])
    parts["guest"] += times[9]
    return parts
