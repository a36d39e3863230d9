# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what can be said on the command line: from arguments to Options, or one line that says no.

It looks only at the arguments: cli.py checks that pids and users exist. Commands with their own
options are in streams.py and run.py.
"""

from __future__ import annotations

import argparse
from typing import Any, Optional

from ebtop import __version__
from ebtop.errors import UsageError
from ebtop.options.options import (
    COMMANDS,
    DEFAULT_MAX_S,
    DEFAULT_MIN_S,
    Options,
    Parser,
    add_diagnostics,
    unknown_option,
)
from ebtop.options.values import (
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
from ebtop.probes import CHOOSABLE, DEFAULT, STANDING, SYSCALL

NOT_YET = ("record", "replay", "export")
_MODES = ("once", "batch", "json")


_EPILOG = """\
With no command and none of --once, -b, --json: the dashboard; press h there for its keys.
Exit status: 0 done, 1 a failure while running, 2 wrong usage, 77 not possible here.

commands (ebtop COMMAND --help says more):
"""


def parse(arguments: list[str]) -> Options:
    """Raises UsageError; `--help` and `--version` print and raise SystemExit."""
    if arguments and arguments[0] in ("run", "diff"):
        from ebtop.options import run

        parse_own = run.parse_run if arguments[0] == "run" else run.parse_diff
        return parse_own(arguments[1:])
    if arguments and arguments[0] in COMMANDS and arguments[0] != "doctor":
        from ebtop.options import streams

        return streams.parse(arguments[0], arguments[1:])
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


def _bounds(given: Any) -> tuple[float, float]:
    """A given delay moves the bounds that were not given; given bounds must be in order."""
    low = given.min_delay or min(DEFAULT_MIN_S, given.delay)
    high = given.max_delay or max(DEFAULT_MAX_S, given.delay)
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
