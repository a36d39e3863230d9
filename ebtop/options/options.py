# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the Options: all that can be asked for, whatever command it is for, and how arguments are
parsed. Which of them a command takes is in commandline.py, streams.py and run.py.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, replace
from typing import Any, NoReturn, Optional

from ebtop.errors import LOG_LEVELS, UsageError
from ebtop.options.values import shown
from ebtop.runtime.stdio import write_all
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
DEFAULT_MIN_S, DEFAULT_MAX_S = 0.1, 10.0


@dataclass(frozen=True)
class Options:
    """The parsed command line. `command` is dashboard, once, batch, json, or one of COMMANDS."""

    command: str = "dashboard"
    json: bool = False
    """Of a command; for samples the command is `json`."""
    delay_s: float = 1.0
    min_delay_s: float = DEFAULT_MIN_S
    max_delay_s: float = DEFAULT_MAX_S
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
    """The share of the machine's CPU that ebtop and its programs may use."""
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
    """Smaller calls of `mem` are not reported."""
    full_path: bool = False
    """Of `open`: names the directory that a name is relative to."""
    buffer_bytes: int = 0
    """Of the ring buffer; 0: the collector's choice."""
    function: str = ""
    """The kernel function that `kprobe` hooks."""
    directory: str = ""
    """Where `selftest` creates the file that it reads and writes past the page cache."""
    args: Optional[int] = None
    """How many arguments to read; None: those that BTF describes."""
    returns: bool = False
    stack: bool = False
    syscalls: tuple[str, ...] = ()
    """Only these; empty: all."""
    slow_ns: int = 0
    """Shorter operations are not slow."""
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
    """Wait also for processes that outlive the command."""
    as_root: bool = False
    """Run the command as root even through sudo."""
    duration_s: Optional[float] = None
    """How long a running process is watched."""
    instance: Optional[int] = None
    """The ebtop process whose filter `set` changes; None: the only one running."""

    def as_command(self, command: str) -> Options:
        """The same, for another command."""
        return replace(self, command=command)

    def as_ascii(self, needed: bool) -> Options:
        """The same, with ASCII also where the terminal needs it."""
        return replace(self, ascii=self.ascii or needed)


class Parser(argparse.ArgumentParser):
    """Sends argparse's output through runtime/stdio.py, like all other output."""

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
    """Shortens long words of the user in a message, so that the allowed values stay visible."""
    return re.sub(r"(\S{60})\S+", r"\1...", message)


def add_diagnostics(add: Any) -> None:
    """The diagnostic options that every command takes."""
    add("--debug", action="store_true",
        help="all that the verifier says, and a traceback when something breaks")  # fmt: skip
    add("--log", default="", metavar="FILE",
        help="append what goes wrong to FILE, as JSON lines; SIGUSR1 adds the state")  # fmt: skip
    add("--log-level", choices=LOG_LEVELS, default="warning",
        help="what is grave enough for it (default: warning)")  # fmt: skip


def unknown_option(option: str, command: str = "") -> str:
    """The message for an unknown option."""
    where = " ".join(["ebtop", command, "--help"] if command else ["ebtop", "--help"])
    return f"unknown option {shown(option)}; {where} lists all"
