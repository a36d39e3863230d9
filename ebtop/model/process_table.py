# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the columns of the process table, as data: what each is called, needs, means and shows.

Sorting and filtering are `rows.py`'s, laying them out `ui/views/table.py`'s. A new column is an
entry here and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ebtop import units
from ebtop.errors import UsageError
from ebtop.model.layout import ARGS_CUT, EXITED, KERNEL, KNOWN_BIT, NOT_COUNTED, known_mask
from ebtop.model.leaks import LEAST_SPAN_S, Leak, Watch
from ebtop.model.snapshot import Snapshot
from ebtop.model.waitreasons import LETTERS, REASONS
from ebtop.text import displayable
from ebtop.units import UNKNOWN

Row = dict[str, Any]
Cmdlines = Mapping[tuple[int, int], bytes]

WAIT_CELLS = 10
SHOWN_BYTES = 2048
"""At most this many bytes of a command line are shown: no column is wider."""


@dataclass(frozen=True)
class Context:
    """The data that a column may use in addition to its row."""

    snapshot: Snapshot
    cmdlines: Cmdlines = field(default_factory=dict)
    ascii: bool = False

    @classmethod
    def of(cls, snapshot: Snapshot, cmdlines: Cmdlines | None, ascii: bool) -> Context:
        return cls(snapshot, {} if cmdlines is None else cmdlines, ascii)


@dataclass(frozen=True)
class Column:
    """One column. `field` is the member of the row that it shows and sorts by."""

    name: str
    title: str
    width: int
    field: str
    show: Callable[[Row, Context], str]
    help: str
    probe: str
    provenance: str = "counted"
    counter: bool = False
    """Adds up over an interval, so it is 0 for a process that did nothing in it."""
    rate: bool = False
    """Shown by the second, as `/S` in its title says; as a total where rows are totals."""
    text: bool = False
    """Written from the left."""
    importance: int = 50
    """What is least important goes first when the screen is narrow; 100 stays."""

    def heading(self, ascii: bool) -> str:
        """Its title; the sign for an estimate has a stand-in where there is ASCII only."""
        return self.title.replace("≈", "~") if ascii else self.title

    @property
    def known_bit(self) -> int:
        """The mask of the row's `known` that must be set; 0 when the value is always known."""
        bit = KNOWN_BIT.get(self.field)
        return 0 if bit is None else 1 << bit


def exit_status(code: int) -> int:
    """What a shell shows for the code of wait(2)."""
    signal = code & 0x7F
    return 128 + signal if signal else code >> 8 & 0xFF


def cpu_percent(row: Row, counted_s: float) -> float | None:
    """100 is one CPU for the whole interval; None when either is unknown."""
    if counted_s <= 0 or not row["known"] & _ONCPU:
        return None
    return float(row["oncpu_ns"]) / 1e7 / counted_s


def hit_ratio(row: Row) -> float | None:
    """Estimated share of the bytes read that the page cache had; None when nothing was read.

    Pages added by read-ahead count as misses before they are read: the ratio is then too low, and
    too high when those pages are read.
    """
    if not row["known"] & _CACHED or not row["cached_read_bytes"]:
        return None
    missed: float = row["cache_added_bytes"] / row["cached_read_bytes"]
    return max(0.0, 1.0 - missed)


def user_name(row: Row, context: Context) -> str | None:
    """The name, else the number; None when the owner is unknown."""
    if not row["known"] & _UID:
        return None
    name = context.snapshot.users.get(row["uid"])
    return str(row["uid"]) if name is None else displayable(name, context.ascii)


def name_of(row: Row, snapshot: Snapshot) -> bytes:
    """Its name, or its thread's; of a kernel thread whole, where the kernel keeps more of it."""
    name: bytes = row["comm"]
    if row["flags"] & KERNEL and row["text_bytes"]:
        name = snapshot.text[row["text"] : row["text"] + row["text_bytes"]]
    return name


def raw_cmdline(row: Row, context: Context) -> bytes | None:
    """Arguments with NULs between them: as read from the process, else as its exec gave them."""
    if row["flags"] & KERNEL:
        return None
    args = context.cmdlines.get((row["pid"], row["start_ns"]))
    if not args and row["text_bytes"]:
        start = row["text"]
        args = context.snapshot.text[start : start + row["text_bytes"]]
        if row["flags"] & ARGS_CUT:
            args += b" ..."
    return args or None


def command(row: Row, context: Context) -> str:
    """The command line, or the name in brackets; in front how it ended, if it has."""
    args = None if row["tid"] != row["pid"] else raw_cmdline(row, context)
    if args is not None:
        shown = displayable(args[:SHOWN_BYTES], context.ascii)
    else:
        shown = displayable(name_of(row, context.snapshot), context.ascii)
        # pid 0 is not a process: its name already has brackets
        if row["tid"] == row["pid"] and row["pid"]:
            shown = f"[{shown}]"
    return f"({ending(row)}) {shown}" if row["flags"] & EXITED else shown


def ending(row: Row) -> str:
    """How a process that has ended did so, in words."""
    if not row["known"] & _EXIT_CODE:
        return "exited"
    signal = row["exit_code"] & 0x7F
    return f"signal {signal}" if signal else f"exit {row['exit_code'] >> 8 & 0xFF}"


def state_letter(row: Row) -> str | None:
    """As in ps(1), and X for a process that ended in the interval; None when unknown."""
    letter = chr(row["state"]) if 32 < row["state"] < 127 else ""
    if row["flags"] & EXITED:
        return "Z" if letter == "Z" else "X"
    return letter if letter and row["known"] & _STATE else None


def sent_again_ratio(row: Row) -> float | None:
    """Share of the TCP segments that it sent which went again; None where it sent none."""
    if not row["known"] & _NET_ERRORS or not row["segments"]:
        return None
    ratio: float = row["retransmits"] / row["segments"]
    return min(1.0, ratio)


def memory_part(row: Row, name: str) -> int | None:
    """One of MEMORY_PARTS; None where it is unknown."""
    value: int = row[name]
    if value == NOT_COUNTED or not row["known"] & (_VIRTUAL if name == "mappings" else _RSS):
        return None
    return value


def is_judged(row: Row, context: Context) -> bool:
    """Whether it is known if it seems to leak."""
    known = memory_part(row, "rss_anon_bytes") is not None and bool(row["known"] & _MAPPED)
    return known and context.snapshot.leaks is not None


def watch_of(row: Row, context: Context) -> Watch | None:
    """How its memory has grown since it is followed; None of one that is not."""
    return context.snapshot.memory_watched.get((row["pid"], row["start_ns"]))


def leak_of(row: Row, context: Context) -> Leak | None:
    """How it seems to leak; None also where nobody looks for that."""
    return (context.snapshot.leaks or {}).get((row["pid"], row["start_ns"]))


_ONCPU = 1 << KNOWN_BIT["oncpu_ns"]
_WAITS = known_mask("offcpu_ns", "lifetime_ns", *(f"wait_{reason}_ns" for reason in REASONS))
_DISKS = 1 << KNOWN_BIT["disk_reads"]
_NET_ERRORS = 1 << KNOWN_BIT["retransmits"]
_CACHED = 1 << KNOWN_BIT["cached_read_bytes"]
_RSS = 1 << KNOWN_BIT["rss_bytes"]
_MAPPED = 1 << KNOWN_BIT["allocated_bytes"]
_VIRTUAL = 1 << KNOWN_BIT["virtual_bytes"]
_UID = 1 << KNOWN_BIT["uid"]
_EXIT_CODE = 1 << KNOWN_BIT["exit_code"]
_STATE = 1 << KNOWN_BIT["state"]


def _number(name: str, write: Callable[[float], str]) -> Callable[[Row, Context], str]:
    known_bit = KNOWN_BIT.get(name)
    mask = None if known_bit is None else 1 << known_bit

    def show(row: Row, context: Context) -> str:
        if mask is not None and not row["known"] & mask:
            return UNKNOWN
        return write(row[name])

    return show


def _cpu(row: Row, context: Context) -> str:
    value = cpu_percent(row, context.snapshot.counted_s)
    return UNKNOWN if value is None else units.percent(value)


def _hits(row: Row, context: Context) -> str:
    ratio = hit_ratio(row)
    return UNKNOWN if ratio is None else units.percent(ratio * 100)


def wait_shares(row: Row) -> dict[str, float] | None:
    """By reason, of the time that its threads lived; None when it is unknown."""
    if row["known"] & _WAITS != _WAITS:
        return None
    lived = row["lifetime_ns"]
    return {reason: row[f"wait_{reason}_ns"] / lived if lived else 0.0 for reason in REASONS}


def wait_bar(shares: Mapping[str, float], width: int) -> str:
    """A letter for every part of the time, `.` for the part that it ran or was ready to.

    Cells lost by rounding go to the parts that lost most.
    """
    parts = [*shares.values(), max(0.0, 1.0 - sum(shares.values()))]
    signs = [*(LETTERS[reason] for reason in shares), "."]
    cells = [int(part * width) for part in parts]
    by_rest = sorted(range(len(parts)), key=lambda at: cells[at] - parts[at] * width)
    for at in by_rest[: max(0, width - sum(cells))]:
        cells[at] += 1
    return "".join(sign * count for sign, count in zip(signs, cells))[:width]


def _wait(row: Row, context: Context) -> str:
    shares = wait_shares(row)
    return UNKNOWN if shares is None else wait_bar(shares, WAIT_CELLS)


def _wait_share(reason: str) -> Callable[[Row, Context], str]:
    def show(row: Row, context: Context) -> str:
        shares = wait_shares(row)
        return UNKNOWN if shares is None else units.percent(shares[reason] * 100)

    return show


def _rate(
    field: str, write: Callable[[float], str], write_total: Callable[[float], str]
) -> Callable[[Row, Context], str]:
    """By the second of the real interval; where rows are totals, the total."""
    mask = 1 << KNOWN_BIT[field]

    def show(row: Row, context: Context) -> str:
        if not row["known"] & mask:
            return UNKNOWN
        if context.snapshot.cumulative:
            return write_total(row[field])
        seconds = context.snapshot.counted_s
        return write(row[field] / seconds) if seconds > 0 else UNKNOWN

    return show


def _disk_latency(field: str) -> Callable[[Row, Context], str]:
    def show(row: Row, context: Context) -> str:
        if not row["known"] & _DISKS or not row["disk_timed"]:
            return UNKNOWN
        return units.latency(row[field], context.ascii)

    return show


def _sequential(row: Row, context: Context) -> str:
    requests = row["disk_reads"] + row["disk_writes"]
    if not row["known"] & _DISKS or not requests:
        return UNKNOWN
    return f"{min(100.0, 100 * row['disk_sequential'] / requests):.0f}"


def _leak(row: Row, context: Context) -> str:
    if not is_judged(row, context):
        return UNKNOWN
    leak = leak_of(row, context)
    if leak is not None:
        return f"!{units.size(leak.bytes_per_s)}/s"
    watch = watch_of(row, context)
    return "no" if watch is None or watch.is_enough else f"{watch.span_s:.0f}/{LEAST_SPAN_S:.0f}s"


def _user(row: Row, context: Context) -> str:
    return user_name(row, context) or UNKNOWN


def _state(row: Row, context: Context) -> str:
    return state_letter(row) or UNKNOWN


def _age(row: Row, context: Context) -> str:
    uptime = context.snapshot.host.uptime_s
    if uptime is None or not row["known"] & 1 << KNOWN_BIT["start_ns"]:
        return UNKNOWN
    return units.duration(max(0.0, uptime * 1e9 - row["start_ns"]))


def _time(
    name: str, title: str, width: int, member: str, importance: int, help: str,
    provenance: str = "counted", probe: str = "sched",
) -> Column:  # fmt: skip
    show = _number(member, units.duration)
    help += "; a sum over the interval"
    return Column(
        name, title, width, member, show, help, probe, provenance, counter=True,
        importance=importance,
    )  # fmt: skip


def _events(
    name: str, title: str, width: int, member: str, importance: int, help: str,
    probe: str = "sched",
) -> Column:  # fmt: skip
    show = _rate(member, units.rate, units.count)
    return Column(
        name, title, width, member, show, help, probe, counter=True, rate=True,
        importance=importance,
    )  # fmt: skip


def _bytes(
    name: str, title: str, width: int, member: str, importance: int, help: str, probe: str
) -> Column:
    show = _rate(member, units.size, units.size)
    return Column(
        name, title, width, member, show, help, probe, counter=True, rate=True,
        importance=importance,
    )  # fmt: skip


def _fact(
    name: str, title: str, width: int, member: str, importance: int, help: str,
    write: Callable[[float], str] = units.count,
) -> Column:  # fmt: skip
    show = _number(member, write)
    return Column(name, title, width, member, show, help, "tasks", importance=importance)


def _syscalls(name: str, title: str, width: int, member: str, importance: int, help: str) -> Column:
    return _events(name, title, width, member, importance, help, "syscall")


def _disk_bytes(name: str, title: str, member: str, importance: int, help: str) -> Column:
    return _bytes(name, title, 8, member, importance, help, "block")


def _disk_time(name: str, title: str, member: str, importance: int, help: str) -> Column:
    show = _disk_latency(member)
    return Column(name, title, 7, member, show, help, "block", importance=importance)


def _sent_again(row: Row, context: Context) -> str:
    ratio = sent_again_ratio(row)
    if ratio is None:
        return UNKNOWN
    return ("!" if ratio else "") + units.percent(ratio * 100)


_ESTIMATED = "estimated: 1 - pages added to the page cache by reads / bytes read"


def _share_of_waits(name: str, reason: str, title: str, importance: int, help: str) -> Column:
    return Column(
        name, title, 6, f"wait_{reason}_ns", _wait_share(reason),
        f"part of its threads' time: {help}", "sched", counter=True, importance=importance,
    )  # fmt: skip


_SAMPLED = "sampled by the kernel's tick; counted while the probe syscall runs"

COLUMNS: tuple[Column, ...] = (
    Column(
        "pid", "PID", 7, "tid", _number("tid", lambda n: str(int(n))),
        "process id; with threads, thread id", "tasks", importance=100,
    ),
    Column(
        "user", "USER", 9, "uid", _user,
        "owner", "tasks", text=True, importance=80,
    ),
    Column(
        "cpu", "CPU%", 6, "oncpu_ns", _cpu,
        "share of one CPU: ONCPU by the time it covers", "sched", counter=True, importance=100,
    ),
    _time("oncpu", "ONCPU", 6, "oncpu_ns", 85, "time on a CPU"),
    _time(
        "offcpu", "OFFCPU", 6, "offcpu_ns", 60,
        "time neither on a CPU nor waiting for one, summed over threads",
    ),
    _time("runq", "RUNQ-WAIT", 9, "runq_wait_ns", 75, "time ready to run, waiting for a CPU"),
    _events("vol", "VOL/S", 6, "voluntary_switches", 58, "voluntary context switches"),
    _events(
        "invol", "INVOL/S", 7, "involuntary_switches", 57, "involuntary context switches"
    ),
    _events("migr", "MIGR/S", 6, "migrations", 40, "moves to another CPU"),
    _time("utime", "USER+", 6, "user_ns", 46, "time in user mode", _SAMPLED),
    _time("kern", "KERN+", 6, "kernel_ns", 45, "time in the kernel", _SAMPLED),
    _fact("thr", "THR", 4, "threads", 50, "threads"),
    Column(
        "state", "STATE", 5, "state", _state,
        "R run, S sleep, D disk, I idle, T stopped, Z zombie, X ended", "tasks",
        text=True, importance=78,
    ),
    _fact("rss", "RSS", 5, "rss_bytes", 70, "resident memory", units.size),
    Column(
        "cmd", "CMD", 16, "comm", command,
        "command line; [name] where it is not known", "life", text=True, importance=100,
    ),
    _fact("virt", "VIRT", 5, "virtual_bytes", 60, "address space", units.size),
    _fact("peak", "PEAK", 5, "peak_rss_bytes", 65, "most resident memory so far", units.size),
    _events("minflt", "MINFLT/S", 8, "minor_faults", 50, "page faults, no disk", "tasks"),
    _events("majflt", "MAJFLT/S", 8, "major_faults", 55, "page faults with a disk", "tasks"),
    _fact("ppid", "PPID", 7, "ppid", 62, "parent", lambda n: str(int(n))),
    Column(
        "start", "AGE", 6, "start_ns", _age,
        "how long ago it began", "tasks", importance=64,
    ),
    _syscalls("sysc", "SYSC/S", 7, "syscalls", 90, "system calls"),
    _syscalls("syserr", "SYSERR/S", 8, "syscall_errors", 75, "system calls that failed"),
    _time("systime", "SYSTIME", 7, "syscall_ns", 80, "time inside system calls, waits included",
          probe="syscall"),
    _syscalls("fileio", "FILE-IO/S", 9, "syscalls_file_io", 60, "calls on files and descriptors"),
    _syscalls("memory", "MEMORY/S", 8, "syscalls_memory", 54, "calls on memory"),
    _syscalls("network", "NETWORK/S", 9, "syscalls_network", 59, "calls on sockets"),
    _syscalls("process", "PROCESS/S", 9, "syscalls_process", 53,
              "calls on processes and their rights"),
    _syscalls("timers", "TIME/S", 6, "syscalls_time", 52, "calls on clocks and timers"),
    _syscalls("sync", "SYNC/S", 6, "syscalls_sync", 58, "calls on futexes, semaphores, queues"),
    _syscalls("signal", "SIGNAL/S", 8, "syscalls_signal", 51, "calls on signals"),
    _syscalls("other", "OTHER/S", 7, "syscalls_other", 50, "all other system calls"),
    _disk_bytes("diskr", "DISK-R/S", "disk_read_bytes", 92, "bytes read from disks"),
    _disk_bytes("diskw", "DISK-W/S", "disk_write_bytes", 91, "bytes written to disks"),
    _disk_bytes("later", "LATER/S", "disk_written_later_bytes", 65,
               "bytes left in the page cache to be written later"),
    _disk_bytes("wback", "W-BACK/S", "disk_written_back_bytes", 54,
               "bytes written by kernel threads that it had left in the page cache"),
    _events("reads", "READS/S", 7, "disk_reads", 70, "requests to read", "block"),
    _events("writes", "WRITES/S", 8, "disk_writes", 69, "requests to write", "block"),
    _disk_time("iolat", "IO-LAT", "disk_latency_p99_ns", 90,
               "latency that 99 % of its disk requests do not exceed, at most 6.25 % off"),
    _disk_time("iomax", "IO-MAX", "disk_latency_max_ns", 60, "the longest of its disk requests"),
    Column(
        "seq", "SEQ%", 4, "disk_sequential", _sequential,
        "disk requests that began where its one before ended", "block", counter=True,
        importance=55,
    ),
    _bytes("filer", "FILE-R/S", 8, "file_read_bytes", 90, "bytes read from regular files", "vfs"),
    _bytes("filew", "FILE-W/S", 8, "file_write_bytes", 88, "bytes written to regular files", "vfs"),
    Column(
        "hit", "≈HIT%", 5, "cached_read_bytes", _hits,
        "share of its reads that the page cache had; - when it read nothing; sorts by bytes",
        "vfs", _ESTIMATED, counter=True, importance=86,
    ),
    _events("opens", "OPENS/S", 7, "opens", 84, "opens of files, those that failed too", "open"),
    _bytes("nettx", "NET-TX/S", 8, "net_tx_bytes", 90, "bytes sent, TCP and UDP", "tcp"),
    _bytes("netrx", "NET-RX/S", 8, "net_rx_bytes", 89, "bytes received", "tcp"),
    Column(
        "retx", "RETX%", 5, "retransmits", _sent_again,
        "share of the TCP segments it sent that went again; ! marks it; - when it sent none",
        "tcp", counter=True, importance=70,
    ),
    Column(
        "conn", "CONN", 5, "connections", _number("connections", units.count),
        "TCP connections that are open", "tcp", importance=80,
    ),
    _events("opened", "OPENED/S", 8, "connections_opened", 60, "connections it began", "tcp"),
    _events("accepted", "ACCEPTED/S", 10, "connections_accepted", 59, "connections it accepted",
            "tcp"),
    _events("neterr", "NETERR/S", 8, "connection_errors", 65,
            "connections that failed or were cut", "tcp"),
    Column(
        "wait", "WAIT", WAIT_CELLS, "offcpu_ns", _wait,
        "why it does not run, in tenths: D disk, N network, L lock, c condition, s sleep, p pipe,"
        " e poll, ? other, . it runs or is ready to",
        "sched", counter=True, text=True, importance=72,
    ),
    _share_of_waits("wdisk", "disk", "DISK%", 68, "waiting for a disk"),
    _share_of_waits("wnet", "network", "NET%", 67, "waiting for a socket"),
    _share_of_waits("wlock", "lock", "LOCK%", 69, "waiting for a lock that somebody holds"),
    _share_of_waits("wcond", "condition", "COND%", 64, "waiting until another thread says so"),
    _share_of_waits("wsleep", "sleep", "SLEEP%", 61, "asleep for a time, or without work"),
    _share_of_waits("wpipe", "pipe", "PIPE%", 66, "waiting for a pipe, a terminal, AF_UNIX"),
    _share_of_waits("wpoll", "poll", "POLL%", 63, "waiting for any of many events, or a child"),
    _share_of_waits("wother", "other", "OTHER%", 62, "off the CPU, and nothing tells why"),
    _bytes("alloc", "ALLOC/S", 7, "allocated_bytes", 88, "address space mapped", "mem"),
    _bytes("free", "FREE/S", 7, "freed_bytes", 87, "address space unmapped", "mem"),
    _events("mmap", "MMAP/S", 6, "mmap_calls", 59, "calls of mmap that succeeded", "mem"),
    _events("munmap", "MUNMAP/S", 8, "munmap_calls", 48, "calls of munmap", "mem"),
    _events("brk", "BRK/S", 6, "brk_calls", 56, "calls of brk", "mem"),
    Column(
        "leak", "LEAK?", 8, "rss_anon_bytes", _leak,
        "! and by how much a second, of whom grows as a leak does: see Enter, then Tab;"
        " 40/48s: watched for so long of the time that it takes",
        "mem", "judged by the last minutes", importance=95,
    ),
    _fact("cgroup", "CGROUP", 8, "cgroup_id", 40, "number of its cgroup", lambda n: str(int(n))),
)  # fmt: skip

BY_NAME: dict[str, Column] = {column.name: column for column in COLUMNS}

SETS: tuple[tuple[Column, ...], ...] = tuple(
    tuple(BY_NAME[name] for name in names.split())
    for names in (
        "pid user cpu oncpu offcpu runq wait vol invol migr utime kern thr state rss cmd",
        "pid user cpu rss virt peak minflt majflt thr ppid start cgroup cmd",
        "pid user cpu sysc syserr systime fileio memory network process timers sync signal"
        " other cmd",
        "pid user cpu diskr diskw later wback iolat iomax reads writes seq state rss cmd",
        "pid user cpu filer filew hit opens fileio majflt state rss cmd",
        "pid user cpu nettx netrx retx conn opened accepted neterr cmd",
        "pid user cpu runq wait wdisk wnet wlock wcond wpipe wpoll wsleep wother offcpu thr state"
        " cmd",
        "pid user cpu rss virt peak alloc free mmap munmap brk minflt majflt leak state cmd",
    )
)


def by_name(name: str) -> Column:
    """The column to sort by; the error names all that there are."""
    try:
        return BY_NAME[name]
    except KeyError:
        allowed = ", ".join(BY_NAME)
        raise UsageError(f"no column {displayable(name)}; there are {allowed}") from None


def as_in(columns: tuple[Column, ...], snapshot: Snapshot) -> tuple[Column, ...]:
    """The same, as its rows ask: totals are not by the second, and where a user without a name has
    a number of ten digits, the longest, the column is as wide."""
    if snapshot.cumulative:
        columns = tuple(
            replace(c, title=c.title[: -len(_BY_SECOND)]) if c.rate else c for c in columns
        )
    if max(snapshot.nameless, default=0) < 10**9:
        return columns
    return tuple(replace(c, width=10) if c.name == "user" else c for c in columns)


_BY_SECOND = "/S"


def fitting(columns: tuple[Column, ...], width: int) -> tuple[Column, ...]:
    """The columns that fit side by side; the least important go first."""
    kept = list(columns)
    while sum(column.width + 1 for column in kept) - 1 > width:
        least = min(kept, key=lambda column: column.importance)
        if least.importance >= 100:
            break
        kept.remove(least)
    return tuple(kept)
