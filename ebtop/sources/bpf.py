# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the BPF source: the only module that calls the compiled collector.

There is one call per refresh. Tables are copied to bytes at once, except for the largest, whose
memory is handed over; no other cdata leaves this file. It knows nothing of how a snapshot is shown.
"""

from __future__ import annotations

import errno
import time
from dataclasses import replace
from typing import Any, Iterable, Optional

from ebtop._core import ffi, lib
from ebtop.errors import EbtopError, Unsupported, UsageError
from ebtop.model import syscallnames, waitreasons
from ebtop.model.filters import EVERYONE, KernelFilter
from ebtop.model.layout import (
    CONNECTION,
    DISK,
    EVENT,
    EVENT_TYPES,
    FILE,
    FULLNESS,
    LOSSES,
    PROBE,
    PROBE_STATES,
    PROGRAM,
    ROW,
    SIZES,
    SLOW_KINDS,
    SYSCALL,
    SYSTEM,
    WAIT,
    WINDOWS,
    Layout,
    Table,
)
from ebtop.model.prototype import Hook, Param, Prototype
from ebtop.model.snapshot import CpuParts, ProbeStatus, Program, SelfCost, Snapshot, Stream, System
from ebtop.probes import (
    BLOCK,
    DEFAULT,
    LOG_NAMES,
    MEM,
    NAMES,
    OPEN,
    SCHED,
    SIGNALS,
    TCP,
    VFS,
    Probe,
)
from ebtop.probes import SYSCALL as SYSCALL_PROBE
from ebtop.runtime.native import check
from ebtop.sources import host
from ebtop.sources.cpustat import CpuStat
from ebtop.sources.diskstats import DiskStats, joined
from ebtop.sources.netstat import ListenCounts
from ebtop.sources.room import Room, choose
from ebtop.text import data_text, raw_bytes

_NAMES_NS = 5_000_000_000
"""New stacks are resolved at this interval: the kernel's symbols take 50 ms to read."""


def _probe_bits(names: Optional[Iterable[str]]) -> int:
    if names is None:
        names = DEFAULT
    bits, switches = 0, (*NAMES, *LOG_NAMES)
    for name in names:
        if name not in switches:
            raise UsageError(f"unknown probe {name!r}; there are: {', '.join(NAMES)}")
        bits |= 1 << switches.index(name)
    return bits


def _table(layout: Layout, table: Any) -> Table:
    if table.count and table.stride != layout.stride:
        raise EbtopError(f"{layout.type_name}: the extension was built from another header")
    return Table(layout, bytes(ffi.buffer(table.rows, table.count * table.stride)))


def _given(layout: Layout, table: Any) -> Table:
    """A table whose memory is handed over: it is not copied, and is freed with its last reader."""
    rows = ffi.gc(ffi.cast("void *", table.rows), lib.ebtop_free_rows)
    if table.stride != layout.stride:
        raise EbtopError(f"{layout.type_name}: the extension was built from another header")
    if not table.count:
        return Table(layout, b"")
    return Table(layout, memoryview(ffi.buffer(rows, table.count * table.stride)).toreadonly())


def _text(table: Any) -> bytes:
    return bytes(ffi.buffer(table.rows, table.count)) if table.count else b""


class Session:
    """A running set of probes. Not thread-safe; close it, or use it as a context manager.

    Raises PermissionDenied or Unsupported when no probe can run here; a probe that alone cannot
    run is data, in `Snapshot.probes`.
    """

    def __init__(
        self,
        probes: Optional[Iterable[str]] = None,
        *,
        events_bytes: int = 0,
        filter: KernelFilter = EVERYONE,
        verifier_stats: bool = False,
        debug: bool = False,
        hook: Optional[Hook] = None,
        transitions: bool = False,
        symbols_ahead: bool = False,
        directories: bool = False,
        failed_execs: bool = False,
        allocations: bool = False,
        slow: Iterable[str] = (),
        accepts: int = 0,
        room: Optional[Room] = None,
    ) -> None:
        if host.clocks_are_shifted():
            raise Unsupported("in a time namespace our clocks are not those of the kernel's events")
        room = room or choose()
        error = ffi.new("struct ebtop_error *")
        settings = ffi.new("struct ebtop_settings *")
        settings.probes = _probe_bits(probes)
        settings.events_bytes = events_bytes
        settings.verifier_stats = verifier_stats
        settings.debug = debug
        settings.transitions = transitions
        settings.symbols_ahead = symbols_ahead
        settings.directories = directories
        settings.failed_execs = failed_execs
        settings.execs = syscallnames.execs()
        settings.allocations = allocations
        settings.slow = sum(1 << SLOW_KINDS.index(kind) for kind in slow)
        settings.threads = room.threads
        settings.connections = room.connections
        settings.little_memory = room.little
        if hook is not None:
            settings.hook = _hook(hook)
        settings.filter = _config(filter)
        settings.filter.accepts = accepts
        ffi.buffer(settings.syscall_kinds)[:] = syscallnames.kinds()
        ffi.buffer(settings.waits)[:] = waitreasons.calls()
        ffi.buffer(settings.call_objects)[:] = syscallnames.objects()
        functions = ffi.new("char[]", waitreasons.functions())
        settings.wait_functions = functions
        handle = lib.ebtop_open(settings, error)
        if handle == ffi.NULL:
            check(error.code or -errno.EIO, error)
        self._handle = ffi.gc(handle, lib.ebtop_close)
        self._error = error
        self._ret = ffi.new("struct ebtop_snapshot *")
        self._last_cpu_ns: Optional[int] = None
        self._symbols: dict[int, bytes] = {}
        self._named_ns: Optional[int] = None
        self._since_ns: Optional[int] = None
        self._disk_stats: Optional[DiskStats] = None
        self._listening = ListenCounts()
        self._cpu_stat = CpuStat()
        self.lacks: Optional[str] = None
        """What is missing of what was asked for, if the user has to know."""
        self.room = room
        fd = lib.ebtop_event_fd(handle)
        self.event_fd: Optional[int] = fd if fd >= 0 else None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Detaches everything. Calling it again does nothing."""
        handle, self._handle = self._handle, None
        if handle is not None:
            ffi.release(handle)

    def poll(self) -> int:
        """Drains events without blocking; the number of them."""
        count = lib.ebtop_poll(self._handle)
        check(count, self._error)
        return int(count)

    def switch(self, probes: Iterable[str]) -> None:
        """Runs exactly these of the on-demand probes and logs; standing probes are not affected."""
        lib.ebtop_switch(self._handle, _probe_bits(probes))

    def look_at(self, pid: int) -> None:
        """Counts the waits of that process by stack, and its bytes by file, from now on; 0 stops
        that."""
        lib.ebtop_inspect(self._handle, pid)

    def look_at_watched(self) -> None:
        """The same for the filter's process and all its descendants together."""
        lib.ebtop_inspect(self._handle, lib.EBTOP_ALL_WATCHED)

    def programs(self) -> list[Program]:
        """The BPF programs that run now; with `verifier_stats` they know their instructions."""
        table = ffi.new("struct ebtop_table *")
        lib.ebtop_programs(self._handle, table)
        return [
            Program(
                row["name"].decode("ascii"),
                NAMES[row["probe"]],
                row["hook"].decode("ascii"),
                row["instructions"] or None,
            )
            for row in _table(PROGRAM, table).rows()
        ]

    def set_filter(self, filter: KernelFilter) -> None:
        """In force from the next event on."""
        lib.ebtop_filter(self._handle, ffi.new("struct ebtop_config *", _config(filter)))

    def stream(self) -> Stream:
        """Drains events and hands them out, without ending the interval."""
        check(lib.ebtop_stream(self._handle, self._ret, self._error), self._error)
        system = _table(SYSTEM, self._ret.system).row(0)
        return Stream(
            events=_table(EVENT, self._ret.events),
            text=_text(self._ret.text),
            lost={name: system["lost_" + name] for name in LOSSES},
            more=bool(self._ret.more),
        )

    def follows(self) -> bool:
        """Whether the filter's process, or with `descendants` one of its descendants, is alive."""
        return bool(lib.ebtop_follows(self._handle))

    def detach(self) -> None:
        """Stops the events; `stream` still returns those that were recorded before."""
        lib.ebtop_detach(self._handle)

    def refresh(
        self,
        *,
        threads: bool = False,
        cost: bool = False,
        cumulative: bool = False,
        reset: bool = False,
        window: str = "interval",
        symbols: bool = True,
        functions: bool = False,
        every: int = 1,
    ) -> Snapshot:
        """Ends the interval and returns it. The first call of a session only begins counting.

        `threads` adds rows for threads, `cost` the run time of the probes (which makes each of
        them dearer by two clock reads), `cumulative` gives totals since the start or the last
        `reset` instead of the interval's values. `window` is what the table of system calls
        covers: `interval`, `ten_seconds` or `reset`. Without `symbols` the functions in stacks
        have no names, see `named`: new ones cost tens of milliseconds. `functions`: of all that
        sleeps, the kernel function that it sleeps in, not only for the selected process.
        From now on one of `every` system calls, a power of two, is timed; all are counted.
        """
        flags = (
            threads * lib.EBTOP_WANT_THREADS
            | cost * lib.EBTOP_WANT_COST
            | cumulative * lib.EBTOP_CUMULATIVE
            | reset * lib.EBTOP_RESET
            | functions * lib.EBTOP_WANT_FUNCTIONS
            | (every.bit_length() - 1) << lib.EBTOP_EVERY_SHIFT
            | WINDOWS.index(window) << lib.EBTOP_WINDOW_SHIFT
        )
        check(lib.ebtop_refresh(self._handle, flags, self._ret, self._error), self._error)
        if self._since_ns is None:
            self._since_ns = self._ret.taken_ns
        snapshot = self._snapshot(self._ret, cumulative, reset)
        if symbols and (snapshot.waits or snapshot.looked_at or functions):
            now = snapshot.taken_ns
            due = functions or self._named_ns is None or now - self._named_ns >= _NAMES_NS
            snapshot = self.named(snapshot, due)
        if reset:
            self._since_ns = snapshot.taken_ns
        return snapshot

    def _snapshot(self, raw: Any, cumulative: bool, reset: bool) -> Snapshot:
        interval_s = raw.interval_ns / 1e9
        processes = _given(ROW, raw.processes)
        uids = set(processes.column("uid"))
        names = host.users(uids)
        cpus, parts = self._cpu_stat.refresh(raw.taken_ns)
        system = _table(SYSTEM, raw.system).row(0)
        probes = tuple(_probe_status(row) for row in _table(PROBE, raw.probes).rows())
        reason = without_sched(probes)
        events = _table(EVENT, raw.events)
        return Snapshot(
            time=time.time(),
            taken_ns=raw.taken_ns,
            interval_s=interval_s,
            source="bpf" if reason is None else "proc",
            source_reason=reason,
            cumulative=cumulative,
            host=host.read_host(),
            system=replace(
                _system(system, parts, interval_s, probes),
                listening=self._listening.refresh(cumulative, reset),
            ),
            self_cost=self._cost(system, probes, interval_s),
            probes=probes,
            processes=processes,
            threads=_table(ROW, raw.threads),
            cpus=cpus,
            events=events,
            text=_text(raw.text),
            since_ns=self._since_ns,
            users=names,
            nameless=host.nameless(uids, names),
            syscalls=_table(SYSCALL, raw.syscalls) if _is_on(probes, SYSCALL_PROBE) else None,
            connections=_table(CONNECTION, raw.connections) if _is_on(probes, TCP) else None,
            window_s=raw.window_ns / 1e9,
            disks=self._disks(raw, cumulative, reset) if _is_on(probes, BLOCK) else None,
            filter=_filter(raw.filter),
            waits=_table(WAIT, raw.waits),
            sizes=_table(SIZES, raw.sizes) if _is_on(probes, MEM) else None,
            files=_table(FILE, raw.files) if _is_on(probes, VFS) else None,
            looked_at=raw.inspected_pid,
            tables={row["name"].decode("ascii"): (row["used"], row["room"])
                    for row in _table(FULLNESS, raw.fullness).rows()},
        )  # fmt: skip

    def _disks(self, raw: Any, cumulative: bool, reset: bool) -> Table:
        if self._disk_stats is None:
            self._disk_stats = DiskStats()
        return joined(_table(DISK, raw.disks), self._disk_stats.refresh(cumulative, reset))

    def named(self, snapshot: Snapshot, look: bool = True) -> Snapshot:
        """The same snapshot with the functions of all addresses in its stacks. New addresses need a
        lookup in the kernel's symbols; without `look` they stay unnamed."""
        waits = snapshot.waits or Table(WAIT, b"")
        frames = [name for name in WAIT.names if name.startswith("frame_")]
        met = {address for name in frames for address in waits.column(name)}
        for table in (snapshot.processes, snapshot.threads):
            met.update(table.column("function"))
        new = sorted(met.difference(self._symbols, (0,)))
        if new and look:
            self._named_ns = snapshot.taken_ns
            asked = ffi.new("struct ebtop_symbol[]", [{"address": address} for address in new])
            lib.ebtop_symbols(self._handle, asked, len(new))
            for symbol in asked:
                self._symbols[symbol.address] = ffi.string(symbol.name) if symbol.start else b""
        known = met.intersection(self._symbols)
        return replace(snapshot, symbols={address: self._symbols[address] for address in known})

    def _cost(
        self,
        system: dict[str, Any],
        probes: tuple[ProbeStatus, ...],
        interval_s: float,
    ) -> SelfCost:
        usage = host.self_usage()
        last, self._last_cpu_ns = self._last_cpu_ns, usage.cpu_ns
        run_ns = [p.run_ns for p in probes if p.state == "on"]
        probe_ns = None if None in run_ns else sum(n for n in run_ns if n is not None)
        timed = interval_s > 0
        return SelfCost(
            cpu_percent=(
                (usage.cpu_ns - last) / 1e7 / interval_s if timed and last is not None else None
            ),
            rss_bytes=usage.rss_bytes,
            probe_ns=probe_ns,
            probe_cpu_percent=(
                probe_ns / 1e9 / interval_s * 100 if timed and probe_ns is not None else None
            ),
            events=sum(system["events_" + name] for name in EVENT_TYPES),
            lost={name: system["lost_" + name] for name in LOSSES},
            lost_total={name: system["lost_total_" + name] for name in LOSSES},
        )


class PlainLines:
    """Formats open events in C, exactly as outputs/eventlines.py does.

    It stops at the first event whose names need escaping by text.py.
    """

    def __init__(self, as_json: bool) -> None:
        self._lines = ffi.new("struct ebtop_lines *")
        self._lines.json = as_json
        self._lines.clock_second = -1
        for number, name in errno.errorcode.items():
            if number < lib.EBTOP_ERROR_NAMES:
                self._lines.errors[number] = name.encode("ascii")

    def of(self, stream: Stream, first: int, end: int, to_epoch_ns: int) -> tuple[int, bytes]:
        """How many rows of `first` to `end` have their line, and these lines."""
        rows = ffi.from_buffer(stream.events.data) + first * stream.events.layout.stride
        self._lines.to_epoch_ns = to_epoch_ns
        count = lib.ebtop_format(
            self._lines, rows, end - first, ffi.from_buffer(stream.text), len(stream.text)
        )
        return count, bytes(ffi.buffer(self._lines.out, self._lines.used))


def variants(probe: str) -> list[tuple[str, ...]]:
    """The programs of each variant of a probe, in the order in which they are tried."""
    text = ffi.new("char[200]")
    found: list[tuple[str, ...]] = []
    while lib.ebtop_variant(NAMES.index(probe), len(found), text, len(text)) == 0:
        found.append(tuple(ffi.string(text).decode("ascii").split(",")))
    return found


def prototype(function: str, module: Optional[str]) -> Optional[Prototype]:
    """The prototype of a function of the kernel or of a module; None if BTF does not have it."""
    found = ffi.new("struct ebtop_prototype *")
    own = ffi.NULL if module is None else raw_bytes(module)
    if lib.ebtop_function(raw_bytes(function), own, found) < 0:
        return None
    return Prototype(
        params=tuple(_param(found.param[index]) for index in range(found.args)),
        result=_param(found.result) if found.result.bytes else None,
        slots=found.slots,
    )


def _param(param: Any) -> Param:
    return Param(
        name=data_text(ffi.string(param.name)),
        bytes=param.bytes,
        signed=bool(param.flags & lib.EBTOP_PARAM_SIGNED),
        pointer=bool(param.flags & lib.EBTOP_PARAM_POINTER),
        text=bool(param.flags & lib.EBTOP_PARAM_TEXT),
    )


_NO_SLOT = 255
"""The slot of a result for functions without one: nothing is read."""


def _hook(hook: Hook) -> dict[str, Any]:
    flags = hook.returns * lib.EBTOP_HOOK_RETURNS | hook.stack * lib.EBTOP_HOOK_STACK
    return {
        "function": raw_bytes(hook.function),
        "args": len(hook.params),
        "texts": sum(1 << index for index, param in enumerate(hook.params) if param.text),
        "slot": hook.slots if hook.result else _NO_SLOT,
        "flags": flags,
    }


def filter_other(pid: int, filter: Optional[KernelFilter]) -> int:
    """Sets the filter of the session of process `pid`; with None only checks the permission.
    Returns the keys that the session obeys as bits, see options/settable.py.

    Raises PermissionDenied if the process belongs to another user, EbtopError if it has no session.
    """
    error = ffi.new("struct ebtop_error *")
    config = ffi.NULL if filter is None else ffi.new("struct ebtop_config *", _config(filter))
    accepted = ffi.new("__u32 *")
    check(lib.ebtop_filter_other(pid, config, accepted, error), error)
    return int(accepted[0])


def _config(filter: KernelFilter) -> dict[str, int]:
    return {
        "pid": filter.pid,
        "uid": lib.EBTOP_ANY_UID if filter.uid is None else filter.uid,
        "flags": (
            filter.descendants * lib.EBTOP_FILTER_DESCENDANTS
            | bool(filter.excluded) * lib.EBTOP_FILTER_EXCLUDES
            | bool(filter.calls) * lib.EBTOP_FILTER_CALLS
        ),
        "min_latency_ns": filter.min_latency_ns,
        "min_bytes": filter.min_bytes,
        "slow_ns": filter.slow_ns,
        "port": filter.port,
        "excluded": list(filter.excluded),
        "calls": _words(filter.calls),
    }


def _words(calls: Iterable[int]) -> list[int]:
    """One bit per system call; calls that are in no table of the kernel share the last bit."""
    words = [0] * lib.EBTOP_CALL_WORDS
    for number in calls:
        words[number // 32] |= 1 << number % 32
    return words


def _calls(words: Any) -> tuple[int, ...]:
    return tuple(
        index * 32 + bit for index, word in enumerate(words) for bit in range(32) if word >> bit & 1
    )


def _filter(config: Any) -> KernelFilter:
    return KernelFilter(
        pid=config.pid,
        uid=None if config.uid == lib.EBTOP_ANY_UID else config.uid,
        descendants=bool(config.flags & lib.EBTOP_FILTER_DESCENDANTS),
        min_latency_ns=config.min_latency_ns,
        min_bytes=config.min_bytes,
        slow_ns=config.slow_ns,
        port=config.port,
        excluded=tuple(pid for pid in config.excluded if pid),
        calls=_calls(config.calls) if config.flags & lib.EBTOP_FILTER_CALLS else (),
        start_ns=config.pid_start_ns,
    )


def without_sched(probes: tuple[ProbeStatus, ...]) -> Optional[str]:
    """Why times are no more exact than those of /proc; None while the probe sched runs."""
    sched = next(probe for probe in probes if probe.name == SCHED.name)
    return None if sched.state == "on" else f"the probe sched does not run: {sched.reason}"


def _is_on(probes: tuple[ProbeStatus, ...], probe: Probe) -> bool:
    return any(status.name == probe.name and status.state == "on" for status in probes)


def _probe_status(row: dict[str, Any]) -> ProbeStatus:
    reason = row["reason"].decode("utf-8", "replace")
    return ProbeStatus(
        name=row["name"].decode("ascii"),
        state=PROBE_STATES[row["state"]],
        hook=row["hook"].decode("ascii"),
        reason=reason or None,
        runs=row["runs"] if row["stats"] else None,
        run_ns=row["run_ns"] if row["stats"] else None,
    )


def _system(
    row: dict[str, Any],
    parts: Optional[CpuParts],
    interval_s: float,
    probes: tuple[ProbeStatus, ...],
) -> System:
    def known(fact: int) -> bool:
        return bool(row["known"] & 1 << fact)

    signals = _is_on(probes, SIGNALS)
    events, memory = known(lib.EBTOP_SYSTEM_EVENTS), known(lib.EBTOP_SYSTEM_MEMORY)
    queue = known(lib.EBTOP_SYSTEM_RUNQ) and interval_s > 0
    return System(
        cpu_percent=None if parts is None else parts.busy,
        cpu_parts=parts,
        run_queue=row["runq_wait_ns"] / 1e9 / interval_s if queue else None,
        run_queue_p99_ns=row["runq_p99_ns"] if queue and row["runq_waits"] else None,
        allocated_bytes=row["allocated_bytes"] if memory else None,
        freed_bytes=row["freed_bytes"] if memory else None,
        processes=row["processes"] if known(lib.EBTOP_SYSTEM_THREADS) else None,
        threads=row["threads"] if known(lib.EBTOP_SYSTEM_THREADS) else None,
        started=row["events_fork"] if events else None,
        exited=row["events_exit"] if events else None,
        execs=row["events_exec"] if events else None,
        context_switches=(
            row["context_switches"] if known(lib.EBTOP_SYSTEM_CONTEXT_SWITCHES) else None
        ),
        syscalls=row["syscalls"] if known(lib.EBTOP_SYSTEM_SYSCALLS) else None,
        opens=row["events_open"] if _is_on(probes, OPEN) else None,
        signals=row["events_signal"] if signals else None,
        oom_kills=row["events_oom"] if signals else None,
        active=row["active"],
    )
