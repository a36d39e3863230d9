# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what can be said on the command line: from arguments to Options, or one line that says no.

It looks at nothing but the arguments: whether a pid or a user exists is asked in cli.py.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, replace
from typing import Any, NoReturn, Optional

from ebtop import __version__
from ebtop.arguments import (
    buffer_bytes,
    count,
    delay,
    percent,
    pids,
    port,
    probe_names,
    shown,
    size,
    wrong,
)
from ebtop.errors import UsageError
from ebtop.output import write_all
from ebtop.probes import CHOOSABLE, DEFAULT, STANDING, SYSCALL
from ebtop.text import displayable

COMMANDS = {
    "doctor": "what this machine can trace, probe by probe, and why not the rest",
    "exec": "a line a process that starts a program or ends",
    "open": "a line a file that is opened, or could not be",
    "tcp": "a line a TCP connection that comes to another state, with bytes at its end",
    "mem": "a line a call that maps or unmaps memory",
    "signals": "a line a signal that is sent, with its sender, and a victim of the OOM killer",
    "kprobe": "a line a call of any function of the kernel, with its arguments",
    "slow": "a line a single operation that took long: a system call, a disk request, a wait",
    "syscalls": "system calls, with histograms of their latencies",
    "run": "runs a command and reports what it and all that it started did",
    "diff": "compares reports of `run`",
    "set": "changes the filter of an ebtop that runs",
    "selftest": "makes known work, and holds what ebtop says of it against the truth",
}
NOT_YET = ("record", "replay", "export")
LOG_LEVELS = ("error", "warning", "info", "debug")
"""From the gravest on."""
_DEFAULT_MIN_S, _DEFAULT_MAX_S = 0.1, 10.0
_MODES = ("once", "batch", "json")


_EPILOG = """\
With no command and none of --once, -b, --json: the dashboard; press h there for its keys.
Exit status: 0 done, 1 a failure while running, 2 wrong usage, 77 not possible here.

commands (ebtop COMMAND --help says more):
"""


@dataclass(frozen=True)
class Options:
    """What was asked for. `command` is dashboard, once, batch, json, or one of COMMANDS."""

    command: str = "dashboard"
    json: bool = False
    """Of a command; for samples the command is `json`."""
    delay_s: float = 1.0
    min_delay_s: float = _DEFAULT_MIN_S
    max_delay_s: float = _DEFAULT_MAX_S
    iterations: Optional[int] = None
    pids: tuple[int, ...] = ()
    user: Optional[str] = None
    comm: Optional[str] = None
    thread_name: Optional[str] = None
    """A part of the thread's own name; `comm` is one of the process's."""
    port: Optional[int] = None
    sort: str = "cpu"
    ascending: bool = False
    limit: Optional[int] = None
    threads: bool = False
    tree: bool = False
    cumulative: bool = False
    probes: Optional[tuple[str, ...]] = None
    """None: all of them."""
    named: tuple[str, ...] = ()
    """Those that `--probes` names."""
    budget_percent: float = 2.0
    """Of the machine's CPU, that ebtop and its programs may cost."""
    color: str = "auto"
    ascii: bool = False
    source: str = "auto"
    size: Optional[tuple[int, int]] = None
    """Columns and rows of `--once`."""
    debug: bool = False
    log: str = ""
    """The file of the log; empty: none."""
    log_level: str = "warning"
    sudo: bool = False
    descendants: bool = False
    min_latency_ns: int = 0
    min_bytes: int = 0
    """Of a call of `mem`: less is no event."""
    full_path: bool = False
    """Of `open`: names the directory that a name is relative to."""
    buffer_bytes: int = 0
    """Of the ring buffer; 0: the collector's choice."""
    function: str = ""
    directory: str = ""
    """Where `selftest` makes the file that it reads and writes past the page cache."""
    """Of the kernel, for `kprobe`."""
    args: Optional[int] = None
    """How many of its arguments; None: those that are known."""
    returns: bool = False
    stack: bool = False
    syscalls: tuple[str, ...] = ()
    """Only these; empty: all."""
    slow_ns: int = 0
    """What takes less is not slow."""
    kinds: tuple[str, ...] = ()
    """Of slow operations."""
    excluded: tuple[int, ...] = ()
    """Pids whose events are not wanted."""
    changes: tuple[tuple[str, str], ...] = ()
    """What `set` is to set: key and value."""
    words: tuple[str, ...] = ()
    """The command of `run`, or the files that `diff` compares."""
    output: Optional[str] = None
    """The file for the report; None: standard output."""
    output_required: bool = False
    """A report or samples that could not be written are a failure of `run`."""
    samples: Optional[str] = None
    """The file for samples of the tree."""
    wait: bool = False
    as_root: bool = False
    """Also for what outlives the command."""
    duration_s: Optional[float] = None
    """How long a process that runs is watched."""
    instance: Optional[int] = None
    """Whose filter `set` changes; None: that of the only one that runs."""

    def as_command(self, command: str) -> Options:
        """The same, for another command."""
        return replace(self, command=command)

    def as_ascii(self, needed: bool) -> Options:
        """The same, with ASCII also where the terminal needs it."""
        return replace(self, ascii=self.ascii or needed)


def parse(arguments: list[str]) -> Options:
    """Raises UsageError; `--help` and `--version` print and raise SystemExit."""
    if arguments and arguments[0] in ("run", "diff"):
        from ebtop import runoptions

        parse_own = runoptions.parse_run if arguments[0] == "run" else runoptions.parse_diff
        return parse_own(arguments[1:])
    if arguments and arguments[0] in COMMANDS and arguments[0] != "doctor":
        from ebtop import subcommands

        return subcommands.parse(arguments[0], arguments[1:])
    given, unknown = _parser().parse_known_args(_join_sort(arguments))
    if unknown:
        raise UsageError(unknown_option(unknown[0]))
    command, as_json = _command(given)
    if given.thread_name is not None and not given.threads:
        raise UsageError("--thread-name goes with -H: without it rows are processes")
    if given.size and command != "once":
        raise UsageError("--size goes with --once only")
    low, high = _bounds(given)
    probes = _probes(given.probes, given.no_probes)
    return Options(
        command=command, json=as_json, delay_s=given.delay, min_delay_s=low, max_delay_s=high,
        iterations=given.iterations, pids=tuple(pid for pids in given.pid for pid in pids),
        user=given.user, comm=given.comm, thread_name=given.thread_name, port=given.port,
        sort=given.sort.lstrip("-"),
        ascending=given.sort.startswith("-"), limit=given.limit, threads=given.threads,
        tree=given.tree, cumulative=given.cumulative, probes=probes, color=given.color,
        ascii=given.ascii, source=given.source, size=given.size, debug=given.debug,
        log=given.log, log_level=given.log_level, sudo=given.sudo, named=given.probes or (),
        buffer_bytes=given.buffer_size, budget_percent=given.budget,
    )  # fmt: skip


class Parser(argparse.ArgumentParser):
    """What argparse says goes the way of all messages and output."""

    def _print_message(self, message: str, file: Any = None) -> None:
        write_all(message.encode())  # help and version: `| head` and a full disk as everywhere

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """`--sort=--`: of the two dashes argparse would make an empty list."""
        if arg_strings == ["--"] and action.option_strings and action.nargs is None:
            value = self._get_value(action, "--")
            self._check_value(action, value)
            return value
        return super()._get_values(action, arg_strings)

    def error(self, message: str) -> NoReturn:
        raise UsageError(displayable(_short(message.replace("\n", " "))))


def _short(message: str) -> str:
    """A word that was given may be of any length; what is allowed stands behind it."""
    return re.sub(r"(\S{60})\S+", r"\1...", message)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="ebtop",
        allow_abbrev=False,
        description="Exact CPU accounting of every process, from the scheduler's own events.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG + "\n".join(f"  {name:<10}{what}" for name, what in COMMANDS.items()),
    )
    add = parser.add_argument
    add("command", nargs="*", metavar="COMMAND", help="one of those below")
    add("--once", action="store_true", help="one frame of the dashboard as plain text")
    add("--size", type=size, metavar="COLSxROWS", help="size of that frame (--once)")
    add("-b", "--batch", action="store_true", help="a text table per sample")
    add("--json", action="store_true", help="one JSON object per line per sample")
    _add_sampling(parser)
    _add_choosing(parser)
    _add_the_rest(parser)
    return parser


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("sampling").add_argument
    add("-d", "--delay", type=delay, default=1.0, metavar="SECONDS",
        help="time between samples (default: 1.0)")  # fmt: skip
    add("--min-delay", type=delay, metavar="SECONDS",
        help="the dashboard's refresh never gets faster (default: 0.1)")  # fmt: skip
    add("--max-delay", type=delay, metavar="SECONDS",
        help="nor slower (default: 10)")  # fmt: skip
    add("-n", "--iterations", type=count, metavar="N", help="stop after N samples")
    add("--cumulative", action="store_true", help="totals since the start, not of the interval")
    add("--probes", type=probe_names, metavar="A,B", help=f"only these of: {', '.join(CHOOSABLE)}")
    add("--no-probes", type=probe_names, default=(), metavar="A,B", help="all but these")
    add("--budget", type=percent, default=2.0, metavar="PERCENT",
        help="of the machine's CPU: past it the dearest probe is shed, until there is room again;"
        f" of system calls one of {SYSCALL.sampled} is timed before that;"
        f" {', '.join(STANDING[:-1])} and {STANDING[-1]} stay (default: 2)")  # fmt: skip
    add("--buffer-size", type=buffer_bytes, default=0, metavar="BYTES",
        help="size of the buffer of events, as in 8M; rounded up to a power of two")  # fmt: skip
    add("--source", choices=("auto", "bpf", "proc"), default="auto",
        help="bpf: fail where BPF cannot be used; proc: never try it (default: auto)")  # fmt: skip


def _add_choosing(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("rows").add_argument
    add("-p", "--pid", type=pids, action="append", default=[], metavar="PID[,PID]",
        help="only these processes")  # fmt: skip
    add("-u", "--user", metavar="NAME", help="only this user's processes")
    add("-c", "--comm", metavar="TEXT", help="only processes with TEXT in their name")
    add("--thread-name", metavar="TEXT", help="with -H: only threads with TEXT in their own name")
    add("--port", type=port, metavar="PORT",
        help="only processes with a TCP connection, or listening, on this port")  # fmt: skip
    add("-s", "--sort", type=_sort, default="cpu", metavar="COLUMN",
        help="sort column, -COLUMN for ascending (default: cpu)")  # fmt: skip
    add("--limit", type=count, metavar="N", help="rows at most")
    add("-H", "--threads", action="store_true", help="a row a thread")
    add("--tree", action="store_true", help="process tree")


def _add_the_rest(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("other").add_argument
    add("--color", choices=("auto", "always", "never"), default="auto")
    add("--ascii", action="store_true", help="draw with ASCII only")
    add("--sudo", action="store_true", help="start again as root, through sudo")
    add_diagnostics(add)
    add("--version", action="version", version=f"ebtop {__version__}")


def add_diagnostics(add: Any) -> None:
    """What every command takes, for whoever looks for a fault of ebtop itself."""
    add("--debug", action="store_true",
        help="all that the verifier says, and a traceback when something breaks")  # fmt: skip
    add("--log", default="", metavar="FILE",
        help="append what goes wrong to FILE, as JSON lines; SIGUSR1 adds the state")  # fmt: skip
    add("--log-level", choices=LOG_LEVELS, default="warning",
        help="what is grave enough for it (default: warning)")  # fmt: skip


def _join_sort(arguments: list[str]) -> list[str]:
    """`-s -rss`: argparse would take the column for an option."""
    joined: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return [*joined, argument, *rest]
        if argument in ("-s", "--sort"):
            column = next(rest, None)
            if column is not None:
                argument = f"--sort={column}"
        joined.append(argument)
    return joined


def _command(given: Any) -> tuple[str, bool]:
    modes = [mode for mode in _MODES if getattr(given, mode)]
    if given.command:
        return _doctor(given.command, modes)
    if len(modes) > 1:
        raise UsageError(f"--{modes[0]} and --{modes[1]} exclude each other")
    return (modes or ["dashboard"])[0], False


def _doctor(words: list[str], modes: list[str]) -> tuple[str, bool]:
    """The one command that takes no option but --json, before or after its name."""
    if words[0] in NOT_YET:
        raise UsageError(
            f"the command {words[0]!r} does not exist yet in {__version__};"
            f" there are: {', '.join(COMMANDS)}, and without a command the dashboard, --once, -b"
            " and --json"
        )
    if words[0] not in COMMANDS:
        raise UsageError(f"unknown command {shown(words[0])}; there are: {', '.join(COMMANDS)}")
    if words[0] != "doctor":
        raise UsageError(f"the command comes first, then its options: ebtop {words[0]} ...")
    if len(words) > 1:
        raise UsageError(f"doctor takes no argument, but got {shown(words[1])}")
    if modes not in ([], ["json"]):
        raise UsageError(f"doctor takes --json, but not --{modes[0]}")
    return "doctor", bool(modes)


def unknown_option(option: str, command: str = "") -> str:
    """The line that says so."""
    where = " ".join(["ebtop", command, "--help"] if command else ["ebtop", "--help"])
    return f"unknown option {shown(option)}; {where} lists all"


def _bounds(given: Any) -> tuple[float, float]:
    """The delay given moves a bound that was not; bounds that were given must be in order."""
    low = given.min_delay or min(_DEFAULT_MIN_S, given.delay)
    high = given.max_delay or max(_DEFAULT_MAX_S, given.delay)
    if not low <= given.delay <= high:
        raise UsageError(
            f"--delay {given.delay:g} must lie between --min-delay {low:g} and --max-delay {high:g}"
        )
    return low, high


def _probes(only: Optional[tuple[str, ...]], without: tuple[str, ...]) -> Optional[tuple[str, ...]]:
    if only is None and not without:
        return None
    left = tuple(name for name in only or DEFAULT if name not in without)
    if not left:
        raise UsageError("no probe is left; to use none, say --source proc")
    return left


def _sort(text: str) -> str:
    if not text.lstrip("-"):
        raise wrong(text, "a column")
    return text
