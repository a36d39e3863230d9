# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what can be said after the commands that have options of their own: streams and `set`.

Samples, the dashboard and `doctor` are in options.py, single values in values.py.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from typing import Any

from ebtop.errors import UsageError
from ebtop.model.prototype import MOST_ARGS
from ebtop.options.options import COMMANDS, Options, Parser, add_diagnostics, unknown_option
from ebtop.options.values import (
    EXCLUDED_MAX,
    buffer_bytes,
    count,
    delay,
    excluded,
    latency,
    least_bytes,
    pid,
    pids,
    port,
    shown,
    uid,
    wrong,
)

LOOK_S = 0.08
"""How long an event may wait for its line: streams look so often."""
_STATUS = (
    "Ends with SIGINT, SIGTERM or SIGHUP. Exit status: 0 done, 1 a failure while running, 2 wrong"
    " usage, 77 not possible here."
)


def parse(command: str, arguments: list[str]) -> Options:
    """Raises UsageError; `--help` prints and raises SystemExit."""
    describe, finish = _COMMANDS[command]
    parser = Parser(prog=f"ebtop {command}", allow_abbrev=False, epilog=_STATUS)
    parser.description = COMMANDS[command].capitalize() + "."
    describe(parser)
    given, unknown = parser.parse_known_args(arguments)
    if unknown:
        if unknown[0].startswith("-"):
            raise UsageError(unknown_option(unknown[0], command))
        raise UsageError(f"{command} takes no argument, but got {shown(unknown[0])}")
    return Options(command=command, **finish(given))


def _add_common(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("other").add_argument
    add("--sudo", action="store_true", help="start again as root, through sudo")
    add_diagnostics(add)


def _common(given: Any) -> dict[str, Any]:
    return {"debug": given.debug, "sudo": given.sudo, "log": given.log,
            "log_level": given.log_level}  # fmt: skip


# ---- streams ----


def _add_choosing(parser: argparse.ArgumentParser, latency_of: str = "") -> None:
    add = parser.add_argument_group("which").add_argument
    add("-p", "--pid", type=pids, action="append", default=[], metavar="PID[,PID]",
        help="only these processes")  # fmt: skip
    add("--descendants", action="store_true",
        help="with one -p: also what it starts, and what that starts")  # fmt: skip
    add("-u", "--user", metavar="NAME", help="only this user's processes, by name or number")
    add("-c", "--comm", metavar="TEXT", help="only processes with TEXT in their name")
    add("--thread-name", metavar="TEXT", help="only threads with TEXT in their own name")
    add("--exclude-pid", type=excluded, default=(), metavar="PID[,PID]",
        help=f"not what these processes do; {EXCLUDED_MAX} at most")  # fmt: skip
    if latency_of:
        add("--min-latency", type=latency, default=0, metavar="TIME",
            help=f"only {latency_of} that took at least so long, as in 5ms or 100us")  # fmt: skip


def _add_output(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("output").add_argument
    add("-n", "--iterations", type=count, metavar="N", help="end after N events")
    add("--json", action="store_true", help="one JSON object a line")
    add("-d", "--delay", type=delay, default=LOOK_S, metavar="SECONDS",
        help=f"events wait so long for their line at most (default: {LOOK_S:g})")  # fmt: skip
    add("--buffer-size", type=buffer_bytes, default=0, metavar="BYTES",
        help="size of the buffer of events, as in 8M; rounded up to a power of two")  # fmt: skip
    add("--ascii", action="store_true", help="write ASCII only")
    add("--source", choices=("auto", "bpf"), default="auto", help="this command needs BPF always")


def _stream(given: Any) -> dict[str, Any]:
    chosen = tuple(pid for pids in given.pid for pid in pids)
    if given.descendants and len(set(chosen)) != 1:
        raise UsageError("--descendants goes with one -p PID")
    return {
        **_common(given), "pids": chosen, "descendants": given.descendants, "user": given.user,
        "comm": given.comm, "thread_name": given.thread_name, "excluded": given.exclude_pid,
        "min_latency_ns": getattr(given, "min_latency", 0),
        "iterations": given.iterations, "json": given.json, "delay_s": given.delay,
        "min_bytes": getattr(given, "min_size", 0),
        "full_path": getattr(given, "full_path", False),
        "buffer_bytes": given.buffer_size, "port": getattr(given, "port", None),
        "ascii": given.ascii, "source": given.source,
    }  # fmt: skip


def _exec(parser: argparse.ArgumentParser) -> None:
    _add_choosing(parser)
    _add_output(parser)
    _add_common(parser)


def _open(parser: argparse.ArgumentParser) -> None:
    _add_choosing(parser, "opens")
    parser.add_argument("--full-path", action="store_true",
                        help="say in which directory a relative name was opened")  # fmt: skip
    _add_output(parser)
    _add_common(parser)


def _tcp(parser: argparse.ArgumentParser) -> None:
    _add_choosing(parser)
    parser.add_argument("--port", type=port, metavar="PORT",
                        help="only connections with this port at one of their ends")  # fmt: skip
    _add_output(parser)
    _add_common(parser)


def _mem(parser: argparse.ArgumentParser) -> None:
    _add_choosing(parser)
    parser.add_argument("--min-size", type=least_bytes, default=0, metavar="BYTES",
                        help="only calls that map or unmap so much, as in 64K or 1M")  # fmt: skip
    _add_output(parser)
    _add_common(parser)


def _signals(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "A line a signal that one process sends to another, or that the kernel sends because"
        " something went wrong; and a line a victim of the OOM killer. Left out are SIGCHLD,"
        " timers, and what threads of one process tell each other. -p, -u and -c are about the"
        " sender; -p also shows what its process gets."
    )
    _add_choosing(parser)
    _add_output(parser)
    _add_common(parser)


# ---- slow ----

SLOW_KINDS = ("syscall", "disk", "wait")


def _slow_kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(text.split(","))
    for kind in kinds:
        if kind not in SLOW_KINDS:
            raise wrong(kind, f"one of {', '.join(SLOW_KINDS)}")
    return kinds


def _slow(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "A line a single operation that took long: a system call when it returns, a request to a"
        " disk when it is done, a wait off the CPU when it is over. Who sleeps or polls is slow"
        " too: choose with --kind, -S and the filters. Waits are told from 50 us on."
    )
    _add_choosing(parser)
    add = parser.add_argument
    add("--min", type=latency, default=10_000_000, metavar="TIME",
        help="what takes so long is slow, as in 5ms or 100us (default: 10ms)")  # fmt: skip
    add("--kind", type=_slow_kinds, default=SLOW_KINDS, metavar="KIND[,KIND]",
        help=f"only these: {', '.join(SLOW_KINDS)}")  # fmt: skip
    add("-S", "--syscalls", type=_calls, action="append", default=[], metavar="NAME[,NAME]",
        help="only these system calls, and waits in them")  # fmt: skip
    _add_output(parser)
    _add_common(parser)


def _slow_of(given: Any) -> dict[str, Any]:
    kinds = given.kind
    if given.syscalls:
        kinds = tuple(kind for kind in kinds if kind != "disk")
    return {
        **_stream(given), "slow_ns": given.min, "kinds": kinds,
        "syscalls": tuple(name for names in given.syscalls for name in names),
    }  # fmt: skip


# ---- kprobe ----

_FUNCTION = re.compile(r"[A-Za-z0-9_.$]{1,127}", re.ASCII)


def _function(text: str) -> str:
    if not _FUNCTION.fullmatch(text):
        raise wrong(text, "the name of a function of the kernel")
    return text


def _args(text: str) -> int:
    if text not in map(str, range(MOST_ARGS + 1)):
        raise wrong(text, f"a number from 0 to {MOST_ARGS}")
    return int(text)


def _kprobe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("function", type=_function, metavar="FUNCTION",
                        help="as /proc/kallsyms has it")  # fmt: skip
    add = parser.add_argument_group("what").add_argument
    add("--args", type=_args, metavar="N",
        help="only the first N arguments (default: those that BTF tells of)")  # fmt: skip
    add("--ret", action="store_true", help="when it returns: its result, and how long it took")
    add("--stack", action="store_true", help="by whom it was called, inside the kernel")
    _add_choosing(parser, "calls (with --ret)")
    _add_output(parser)
    _add_common(parser)


def _calls_of(given: Any) -> dict[str, Any]:
    if given.min_latency and not given.ret:
        raise UsageError("--min-latency goes with --ret: else the end of a call is not waited for")
    return {
        **_stream(given), "function": given.function, "args": given.args, "returns": given.ret,
        "stack": given.stack,
    }  # fmt: skip


# ---- syscalls ----


def _syscalls(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("which").add_argument
    add("-S", "--syscalls", type=_calls, action="append", default=[], metavar="NAME[,NAME]",
        help="only these system calls; each is drawn")  # fmt: skip
    add("-p", "--pid", type=pid, metavar="PID", help="only this process; ends with it")
    add("--descendants", action="store_true",
        help="with -p: also what it starts, and what that starts")  # fmt: skip
    add("-u", "--user", metavar="NAME", help="only this user's processes, by name or number")
    add("--exclude-pid", type=excluded, default=(), metavar="PID[,PID]",
        help=f"not what these processes do; {EXCLUDED_MAX} at most")  # fmt: skip
    add("--min-latency", type=latency, default=0, metavar="TIME",
        help="only calls that took at least so long, as in 5ms or 100us")  # fmt: skip
    add = parser.add_argument_group("output").add_argument
    add("-d", "--delay", type=delay, metavar="SECONDS",
        help="a report every so often (default: one, at the end)")  # fmt: skip
    add("-n", "--iterations", type=count, metavar="N", help="end after N reports")
    add("--json", action="store_true", help="a report is one JSON object in one line")
    add("--ascii", action="store_true", help="draw with ASCII only")
    add("--source", choices=("auto", "bpf"), default="auto", help="this command needs BPF always")
    _add_common(parser)


def _calls(text: str) -> tuple[str, ...]:
    from ebtop.model.syscallnames import number_of

    names = tuple(text.split(","))
    for name in names:
        if number_of(name) is None and number_of(name, True) is None:
            raise wrong(name, "a system call of this machine")
    return names


def _report(given: Any) -> dict[str, Any]:
    if given.descendants and given.pid is None:
        raise UsageError("--descendants goes with -p PID")
    every = given.delay or (1.0 if given.iterations else math.inf)
    return {
        **_common(given), "pids": () if given.pid is None else (given.pid,),
        "descendants": given.descendants, "user": given.user, "json": given.json,
        "min_latency_ns": given.min_latency, "iterations": given.iterations, "delay_s": every,
        "syscalls": tuple(name for names in given.syscalls for name in names),
        "ascii": given.ascii, "source": given.source, "excluded": given.exclude_pid,
    }  # fmt: skip


# ---- set ----


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise wrong(text, "0 or 1")
    return text == "1"


_KEYS: dict[str, Callable[[str], object]] = {
    "pid": pid,
    "uid": uid,
    "user": str,
    "min_latency": latency,
    "min_size": least_bytes,
    "port": port,
    "descendants": _flag,
    "exclude_pid": excluded,
    "syscall": _calls,
    "min": latency,
}


def _set(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Sets the filter of an ebtop that runs: what is not named here is not filtered any more."
        " Only root can: it takes CAP_SYS_PTRACE."
        " Keys: pid=PID, descendants=1 (also what it starts),"
        " uid=NUMBER or user=NAME, min_latency=5ms, min_size=64K (of ebtop mem), port=NUMBER (of"
        " ebtop tcp), exclude_pid=PID,PID (not these), syscall=NAME,NAME (only these calls),"
        " min=10ms (of ebtop slow; it stays as it is where it is not named)."
        " The word none alone ends all filtering."
    )
    add = parser.add_argument
    add("changes", nargs="+", metavar="KEY=VALUE")
    add("--instance", type=pid, metavar="PID", help="which ebtop, when several run")
    _add_common(parser)


def _changes(given: Any) -> dict[str, Any]:
    if given.changes in (["none"], [""]):
        return {**_common(given), "instance": given.instance}
    changes: dict[str, str] = {}
    for word in given.changes:
        key, equals, value = word.partition("=")
        if not equals or key not in _KEYS:
            raise UsageError(f"{shown(word)} is not KEY=VALUE; keys: {', '.join(_KEYS)}")
        if key in changes:
            raise UsageError(f"{key} is given twice")
        if value:  # an empty one clears, as not naming it does
            _check(key, value)
            changes[key] = value
    if "uid" in changes and "user" in changes:
        raise UsageError("uid and user exclude each other")
    return {**_common(given), "instance": given.instance, "changes": tuple(changes.items())}


def _check(key: str, value: str) -> None:
    try:
        _KEYS[key](value)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{key}: {error}") from None


# ---- selftest ----


def _selftest(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Makes known work, a second or less of each kind, and prints metric by metric the truth,"
        " who tells it, and what ebtop says. Harmless: it opens no other files than its own, and"
        " talks to itself alone, over loopback. Exit status: 0 when all figures that are known"
        " here are right, 1 when one missed, 77 not possible here."
    )
    add = parser.add_argument
    add("--json", action="store_true", help="one JSON object")
    add("--directory", default="/var/tmp", metavar="DIR",
        help="where a file without a name tests the disk (default: %(default)s)")  # fmt: skip
    add("--source", choices=("auto", "bpf", "proc"), default="auto",
        help="bpf fails when BPF cannot be used; proc never tries")  # fmt: skip
    _add_common(parser)


def _tested(given: Any) -> dict[str, Any]:
    return {**_common(given), "json": given.json, "directory": given.directory,
            "source": given.source}  # fmt: skip


_Finish = Callable[[Any], dict[str, Any]]
_COMMANDS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], _Finish]] = {
    "exec": (_exec, _stream),
    "open": (_open, _stream),
    "tcp": (_tcp, _stream),
    "mem": (_mem, _stream),
    "signals": (_signals, _stream),
    "slow": (_slow, _slow_of),
    "kprobe": (_kprobe, _calls_of),
    "syscalls": (_syscalls, _report),
    "set": (_set, _changes),
    "selftest": (_selftest, _tested),
}
