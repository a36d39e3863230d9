# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the columns of the process table, as data: what each is called, needs, means and shows.

Sorting and filtering are `model.py`'s, laying them out `views/table.py`'s. A new column is an
entry here and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ebtop import units
from ebtop.errors import UsageError
from ebtop.layout import ARGS_CUT, EXITED, KERNEL, KNOWN_BIT, NOT_COUNTED, known_mask
from ebtop.leaks import LEAST_SPAN_S, Leak, Watch
from ebtop.snapshot import Snapshot
from ebtop.text import displayable
from ebtop.units import UNKNOWN
from ebtop.waitreasons import LETTERS, REASONS

Row = dict[str, Any]
Cmdlines = Mapping[tuple[int, int], bytes]

WAIT_CELLS = 10
SHOWN_BYTES = 2048
"""No column is wider than what so many bytes of a command line fill."""


@dataclass(frozen=True)
class Context:
    """What a column may look at beside its row."""

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

    What read-ahead adds counts too, though nobody asked for it yet: the ratio is then too low, and
    that of the reads that come for it too high.
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
        # no process: what none is charged with has its own brackets
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
_SYSCALLS = 1 << KNOWN_BIT["syscalls"]
_DISKS = 1 << KNOWN_BIT["disk_reads"]
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

    What is lost by rounding goes to those that lost most.
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


def _calls_rate(row: Row, context: Context) -> str:
    seconds = context.snapshot.counted_s
    if seconds <= 0 or not row["known"] & _SYSCALLS:
        return UNKNOWN
    return units.rate(row["syscalls"] / seconds)


def _bytes_rate(field: str) -> Callable[[Row, Context], str]:
    mask = 1 << KNOWN_BIT[field]

    def show(row: Row, context: Context) -> str:
        seconds = context.snapshot.counted_s
        if seconds <= 0 or not row["known"] & mask:
            return UNKNOWN
        return units.size(row[field] / seconds)

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


def _counter(
    name: str, title: str, width: int, member: str, importance: int, help: str,
    provenance: str = "counted", probe: str = "sched",
) -> Column:  # fmt: skip
    write = units.duration if member.endswith("_ns") else units.count
    show = _number(member, write)
    return Column(
        name, title, width, member, show, help, probe, provenance, True, False, importance
    )


def _fact(
    name: str, title: str, width: int, member: str, importance: int, help: str,
    write: Callable[[float], str] = units.count,
) -> Column:  # fmt: skip
    show = _number(member, write)
    return Column(name, title, width, member, show, help, "tasks", importance=importance)


def _syscalls(name: str, title: str, member: str, importance: int, help: str) -> Column:
    return _counter(name, title, 7, member, importance, help, probe="syscall")


def _disk_rate(name: str, title: str, member: str, importance: int, help: str) -> Column:
    return Column(
        name, title, 7, member, _bytes_rate(member), help, "block", counter=True,
        importance=importance,
    )  # fmt: skip


def _disk_time(name: str, title: str, member: str, importance: int, help: str) -> Column:
    show = _disk_latency(member)
    return Column(name, title, 7, member, show, help, "block", importance=importance)


def _counts(name: str) -> Callable[[Row, Context], str]:
    return _number(name, units.count)


def _marked(name: str) -> Callable[[Row, Context], str]:
    return _number(name, lambda count: "!" + units.count(count) if count else "0")


def _net(
    name: str, title: str, width: int, member: str, importance: int, help: str,
    show: Callable[[str], Callable[[Row, Context], str]] = _counts,
) -> Column:  # fmt: skip
    return Column(
        name, title, width, member, show(member), help, "tcp", counter=True, importance=importance
    )


_ESTIMATED = "estimated: 1 - pages added to the page cache by reads / bytes read"


def _mapped(name: str, title: str, member: str, importance: int, help: str) -> Column:
    return Column(
        name, title, 7, member, _bytes_rate(member), help, "mem", counter=True,
        importance=importance,
    )  # fmt: skip


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
    _counter("oncpu", "ONCPU", 6, "oncpu_ns", 85, "time on a CPU"),
    _counter(
        "offcpu", "OFFCPU", 6, "offcpu_ns", 60,
        "time neither on a CPU nor waiting for one, summed over threads",
    ),
    _counter("runq", "RUNQ-WAIT", 9, "runq_wait_ns", 75, "time ready to run, waiting for a CPU"),
    _counter("vol", "VOL", 6, "voluntary_switches", 58, "switches because it went to wait"),
    _counter("invol", "INVOL", 6, "involuntary_switches", 57, "switches because it was put off"),
    _counter("migr", "MIGR", 5, "migrations", 40, "moves to another CPU"),
    _counter("utime", "USER+", 6, "user_ns", 46, "time in user mode", _SAMPLED),
    _counter("kern", "KERN+", 6, "kernel_ns", 45, "time in the kernel", _SAMPLED),
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
    _counter("minflt", "MINFLT", 6, "minor_faults", 50, "page faults, no disk", probe="tasks"),
    _counter("majflt", "MAJFLT", 6, "major_faults", 55, "page faults with a disk", probe="tasks"),
    _fact("ppid", "PPID", 7, "ppid", 62, "parent", lambda n: str(int(n))),
    Column(
        "start", "AGE", 6, "start_ns", _age,
        "how long ago it began", "tasks", importance=64,
    ),
    Column(
        "sysc", "SYSC/S", 7, "syscalls", _calls_rate,
        "system calls a second", "syscall", counter=True, importance=90,
    ),
    _syscalls("syserr", "SYSERR", "syscall_errors", 75, "system calls that failed"),
    _syscalls("systime", "SYSTIME", "syscall_ns", 80, "time inside system calls, waits included"),
    _syscalls("fileio", "FILE-IO", "syscalls_file_io", 60, "calls on files and descriptors"),
    _syscalls("memory", "MEMORY", "syscalls_memory", 54, "calls on memory"),
    _syscalls("network", "NETWORK", "syscalls_network", 59, "calls on sockets"),
    _syscalls("process", "PROCESS", "syscalls_process", 53, "calls on processes and their rights"),
    _syscalls("timers", "TIME", "syscalls_time", 52, "calls on clocks and timers"),
    _syscalls("sync", "SYNC", "syscalls_sync", 58, "calls on futexes, semaphores, queues"),
    _syscalls("signal", "SIGNAL", "syscalls_signal", 51, "calls on signals"),
    _syscalls("other", "OTHER", "syscalls_other", 50, "all other system calls"),
    _disk_rate("diskr", "DISK-R", "disk_read_bytes", 92, "bytes read from disks, a second"),
    _disk_rate("diskw", "DISK-W", "disk_write_bytes", 91, "bytes written to disks, a second"),
    _disk_rate("later", "LATER", "disk_written_later_bytes", 65,
               "bytes left in the page cache to be written later, a second"),
    _disk_rate("wback", "W-BACK", "disk_written_back_bytes", 54,
               "bytes written by kernel threads that it had left in the page cache, a second"),
    _counter("reads", "READS", 6, "disk_reads", 70, "requests to read", probe="block"),
    _counter("writes", "WRITES", 6, "disk_writes", 69, "requests to write", probe="block"),
    _disk_time("iolat", "IO-LAT", "disk_latency_p99_ns", 90,
               "latency that 99 % of its disk requests do not exceed, at most 6.25 % off"),
    _disk_time("iomax", "IO-MAX", "disk_latency_max_ns", 60, "the longest of its disk requests"),
    Column(
        "seq", "SEQ%", 4, "disk_sequential", _sequential,
        "disk requests that began where its one before ended", "block", counter=True,
        importance=55,
    ),
    Column(
        "filer", "FILE-R", 6, "file_read_bytes", _bytes_rate("file_read_bytes"),
        "bytes read from regular files, a second", "vfs", counter=True, importance=90,
    ),
    Column(
        "filew", "FILE-W", 6, "file_write_bytes", _bytes_rate("file_write_bytes"),
        "bytes written to regular files, a second", "vfs", counter=True, importance=88,
    ),
    Column(
        "hit", "≈HIT%", 5, "cached_read_bytes", _hits,
        "share of its reads that the page cache had; - when it read nothing; sorts by bytes",
        "vfs", _ESTIMATED, counter=True, importance=86,
    ),
    _counter("opens", "OPENS", 5, "opens", 84, "opens of files, those that failed too",
             probe="open"),
    _net("nettx", "NET-TX", 7, "net_tx_bytes", 90, "bytes sent a second, TCP and UDP",
         _bytes_rate),
    _net("netrx", "NET-RX", 7, "net_rx_bytes", 89, "bytes received a second", _bytes_rate),
    _net("retx", "RETX", 5, "retransmits", 70, "TCP segments sent again; ! marks them", _marked),
    Column(
        "conn", "CONN", 5, "connections", _number("connections", units.count),
        "TCP connections that are open", "tcp", importance=80,
    ),
    _net("opened", "OPENED", 6, "connections_opened", 60, "connections it began"),
    _net("accepted", "ACCEPTED", 8, "connections_accepted", 59, "connections it accepted"),
    _net("neterr", "NETERR", 6, "connection_errors", 65, "connections that failed or were cut"),
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
    _mapped("alloc", "ALLOC/S", "allocated_bytes", 88, "address space mapped, a second"),
    _mapped("free", "FREE/S", "freed_bytes", 87, "address space unmapped, a second"),
    _counter("mmap", "MMAP", 6, "mmap_calls", 59, "calls of mmap that succeeded", probe="mem"),
    _counter("munmap", "MUNMAP", 6, "munmap_calls", 48, "calls of munmap", probe="mem"),
    _counter("brk", "BRK", 6, "brk_calls", 56, "calls of brk", probe="mem"),
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


def with_whole_users(columns: tuple[Column, ...], snapshot: Snapshot) -> tuple[Column, ...]:
    """The same; wider where a user without a name has a number of ten digits, the longest."""
    if max(snapshot.nameless, default=0) < 10**9:
        return columns
    return tuple(replace(c, width=10) if c.name == "user" else c for c in columns)


def fitting(columns: tuple[Column, ...], width: int) -> tuple[Column, ...]:
    """The columns that fit side by side; the least important go first."""
    kept = list(columns)
    while sum(column.width + 1 for column in kept) - 1 > width:
        least = min(kept, key=lambda column: column.importance)
        if least.importance >= 100:
            break
        kept.remove(least)
    return tuple(kept)
