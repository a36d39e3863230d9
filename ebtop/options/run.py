# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what can be said after `run` and `diff`. Values are values.py's."""

from __future__ import annotations

import argparse
from typing import Any, Optional

from ebtop.errors import UsageError
from ebtop.options.options import Options, Parser, unknown_option
from ebtop.options.values import delay, pid, probe_names, shown
from ebtop.probes import CHOOSABLE, DEFAULT, STANDING, SYSCALL, carried_by

_STATUS = (
    "Exit status: the command's own; 128+N when signal N ended it, 127 not found, 126 not"
    " executable, 2 wrong usage; 77 when --source bpf is not possible here, or when the"
    " command cannot run as the user who called sudo."
)


def parse_run(arguments: list[str]) -> Options:
    """`run [OPTIONS] -- COMMAND...`; the two dashes may be left out."""
    before, command = _split(arguments)
    parser = Parser(
        prog="ebtop run", usage="ebtop run [OPTIONS] -- COMMAND [ARGUMENT...]\n"
        "       ebtop run [OPTIONS] -p PID [--duration SECONDS]",
        allow_abbrev=False, epilog=_STATUS,
        description="Runs a command and reports what it and all that it started did.",
    )  # fmt: skip
    _describe(parser)
    if command is None:
        parser.add_argument("words", nargs=argparse.REMAINDER)
    given, unknown = parser.parse_known_args(before)
    words = list(getattr(given, "words", [])) if command is None else command
    if unknown or (words and command is None and words[0].startswith("-")):
        first = (unknown or words)[0]
        if first.startswith("-"):
            raise UsageError(unknown_option(first, "run"))
        raise UsageError(f"the command comes after --, but {shown(first)} is before it")
    return _options(given, words)


def _split(arguments: list[str]) -> tuple[list[str], Optional[list[str]]]:
    if "--" not in arguments:
        return arguments, None
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def _describe(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("report").add_argument
    add("--json", action="store_true", help="one JSON object")
    add("--output", metavar="FILE", help="the report goes there, not to standard output")
    add("--samples", metavar="FILE",
        help="also what was known at every look: one JSON object a line")  # fmt: skip
    add("--output-required", action="store_true",
        help="exit status 1 when not all of this could be written")  # fmt: skip
    add = parser.add_argument_group("what").add_argument
    add("--wait", action="store_true", help="also for what outlives the command")
    add("-p", "--pid", type=pid, metavar="PID", help="no command: this process and its tree")
    add("--duration", type=delay, metavar="SECONDS", help="with -p: so long")
    add("--probes", type=probe_names, metavar="A,B", help=f"only these of: {', '.join(CHOOSABLE)}")
    add(
        "--no-probes",
        type=probe_names,
        default=(),
        metavar="A,B",
        help=f"all but these; without {SYSCALL.name} also no"
        f" {' and '.join(carried_by([SYSCALL.name]))}, which see each call too",
    )
    add("--source", choices=("auto", "bpf", "proc"), default="auto",
        help="bpf: fail where BPF cannot be used; proc: never try it (default: auto)")  # fmt: skip
    add("--as-root", action="store_true",
        help="through sudo: as root all the same, not as who called sudo")  # fmt: skip
    add = parser.add_argument_group("other").add_argument
    add("--sudo", action="store_true", help="start again as root, through sudo")
    add("--debug", action="store_true",
        help="all that the verifier says, and a traceback when something breaks")  # fmt: skip


def _options(given: Any, words: list[str]) -> Options:
    if given.pid is None and (not words or not words[0]):
        raise UsageError("run: which command? ebtop run -- COMMAND...")
    if given.pid is not None and words:
        raise UsageError("run takes a command or -p PID, not both")
    if given.duration is not None and given.pid is None:
        raise UsageError("--duration goes with -p PID")
    if given.wait and given.pid is not None:
        raise UsageError("--wait goes with a command")
    if given.as_root and given.pid is not None:
        raise UsageError("--as-root goes with a command")
    return Options(
        command="run", json=given.json, output=given.output, samples=given.samples,
        wait=given.wait, as_root=given.as_root, words=tuple(words),
        pids=() if given.pid is None else (given.pid,),
        output_required=given.output_required,
        duration_s=given.duration, probes=_probes(given.probes, given.no_probes),
        named=given.probes or (), source=given.source, sudo=given.sudo, debug=given.debug,
    )  # fmt: skip


def _probes(only: Optional[tuple[str, ...]], without: tuple[str, ...]) -> Optional[tuple[str, ...]]:
    if only is None and not without:
        return None
    if only is None:  # or each call would go through the carrier's programs still
        without = (*without, *carried_by(without))
    # births and ends make the tree: without them there is no report
    left = [name for name in only or DEFAULT if name not in without]
    return tuple(dict.fromkeys([*STANDING, *left]))


def parse_diff(arguments: list[str]) -> Options:
    """`diff A.json[,A2.json...] B.json[,...]`."""
    parser = Parser(
        prog="ebtop diff", allow_abbrev=False,
        description="Compares reports of `ebtop run --json`: what changed from the first to the"
        " second. Of several each, what changed beyond the noise.",
    )  # fmt: skip
    parser.add_argument("before", metavar="A.json[,A2.json...]")
    parser.add_argument("after", metavar="B.json[,B2.json...]")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--debug", action="store_true", help="a traceback when something breaks")
    given, unknown = parser.parse_known_args(arguments)
    if unknown:
        raise UsageError(f"diff takes two reports, but got {shown(unknown[0])}")
    return Options(
        command="diff", json=given.json, words=(given.before, given.after), debug=given.debug
    )
