# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns `main`: from the command line to the command, and from every end to an exit status.

It wires the parts together and holds none of their logic.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Optional

from ebtop import __version__
from ebtop.errors import EXIT_FAILED, EXIT_IMPOSSIBLE, EbtopError, Unsupported, UsageError
from ebtop.options.commandline import parse
from ebtop.options.options import Options
from ebtop.probes import ALWAYS, BY_NAME, DEFAULT, STREAMS
from ebtop.runtime.stdio import OutputClosed, fill_standard_fds, locale_is_utf8, say

if TYPE_CHECKING:
    from ebtop.control.choose import Source

_AT_SECURE = 23


def main(arguments: Optional[list[str]] = None) -> int:
    """The exit status, as in the interface: 0 done, 1 failed, 2 wrong usage, 77 not possible."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        fill_standard_fds()
        if _is_elevated():
            say("refuses to run with privileges that its caller does not have (set-uid, setcap)")
            return EXIT_IMPOSSIBLE
        return _run(parse(given))
    except EbtopError as error:
        say(str(error))
        return error.status
    except OutputClosed:
        return 0
    except KeyboardInterrupt:
        return 130
    except SystemExit as end:  # argparse, after --help and --version
        return end.code if isinstance(end.code, int) else 0
    except MemoryError:
        say("there is no memory left (ulimit -v, or the machine's)")
        return EXIT_FAILED
    except Exception as error:
        if "new thread" in str(error) or isinstance(error, BlockingIOError):
            say("no further thread or process is allowed (ulimit -u)")
            return EXIT_FAILED
        if "--debug" in given:
            raise
        if isinstance(error, ImportError) and "_core" in str(error):
            say("its compiled part is missing or does not fit this Python: build it (make build)")
            return EXIT_FAILED
        say(f"failed: {type(error).__name__}: {error} (--debug shows where)")
        return EXIT_FAILED


def _is_elevated() -> bool:
    """Whether exec gave this process privileges that its caller lacks, as the kernel's AT_SECURE
    says."""
    if os.getuid() != os.geteuid() or os.getgid() != os.getegid():
        return True
    try:
        with open("/proc/self/auxv", "rb") as file:
            words = memoryview(file.read()).cast("L").tolist()
        return bool(dict(zip(words[::2], words[1::2]))[_AT_SECURE])
    except (OSError, TypeError, KeyError):
        # unreadable for instance in a process with file capabilities: then ask the extension
        from ebtop.runtime.native import is_elevated

        return is_elevated()


def _run(options: Options) -> int:
    if options.sudo and os.geteuid() != 0:
        from ebtop.control.choose import become_root

        become_root()
    if options.command != "diff" and not os.path.exists("/proc/self/stat"):
        raise Unsupported("there is no /proc here, which ebtop reads: mount -t proc proc /proc")
    if options.log:
        from ebtop.runtime import log

        log.begin(options.log, options.log_level)
        log.note("info", f"begins: {options.command}", version=__version__)
    if options.command == "doctor":
        from ebtop.commands import doctor

        return doctor.run(options)
    if options.command == "set":
        from ebtop.commands import set as set_command

        return set_command.run(options)
    if options.command == "diff":
        from ebtop.commands import diff

        return diff.run(options)
    if options.command == "selftest":
        return _selftest(options)
    _check_exist(options)
    if options.command == "run":
        from ebtop.commands import run

        return run.run(options)
    if options.command in STREAMS:
        return _stream(options)
    if options.command == "dashboard":
        return _dashboard(options)
    return _sample(options)


def _dashboard(options: Options) -> int:
    for fd, name in ((0, "input"), (1, "output")):
        if not os.isatty(fd):
            raise UsageError(
                f"standard {name} is not a terminal; without one there are --once, -b and --json"
            )
    # import as little as possible: this process forks, and a small one forks faster
    from ebtop.ui import dashboard

    def open_source() -> Source:
        from ebtop.control import choose

        return choose.open_source(_with_standing_probes(options))

    try:
        return dashboard.run(open_source, options)
    except dashboard.NoDashboard:
        term = os.environ.get("TERM", "")
        say(f"this terminal cannot address its cursor (TERM={term}); here is batch mode (-b)")
        return _sample(options.as_command("batch"))


def _with_standing_probes(options: Options) -> Options:
    """The dashboard starts with the standing probes; the others are loaded when something shows
    them."""
    wanted = options.probes or DEFAULT
    known = {name: BY_NAME[name] for name in wanted}
    standing = tuple(
        name for name, probe in known.items() if not probe.on_demand or ALWAYS in probe.sights
    )
    return replace(options, probes=standing or wanted)


def _check_exist(options: Options) -> None:
    """Raises UsageError if a pid, user or column that an option names does not exist."""
    from ebtop.options.targets import check_namespace, check_pids, uid_of

    if options.pids and options.command != "run":  # which then reads /proc
        check_namespace(options.source)
    check_pids(options.pids)
    uid_of(options.user)
    if options.sort != Options.sort:
        _check_column(options.sort)


def _check_column(name: str) -> None:
    from ebtop.model.process_table import by_name

    try:
        by_name(name)
    except UsageError as error:
        raise UsageError(f"argument -s/--sort: {error}") from None


def _sample(options: Options) -> int:
    """--once, -b and --json."""
    from ebtop.runtime.signals import Signals

    with Signals() as signals:  # before the source: a signal while it opens must find a handler
        from ebtop.commands.sample import write_samples
        from ebtop.control.choose import note, open_source

        with signals.at_once():
            source = open_source(options)
        with source:
            about = note(source)
            if about:
                say(about)
            write_samples(source, options, signals)
    return 0


def _selftest(options: Options) -> int:
    from ebtop.runtime.signals import Signals

    with Signals() as signals:
        from ebtop.commands.selftest import command

        return command.run(options, signals)


def _stream(options: Options) -> int:
    """The commands that write events as they happen."""
    from ebtop.runtime.signals import Signals

    with Signals() as signals:  # before the session: a signal while it opens must find a handler
        from ebtop.outputs.statedump import StateDump

        options = options.as_ascii(not locale_is_utf8())
        signals.tell_state = StateDump(options).write
        if options.command == "syscalls":
            from ebtop.commands import syscalls

            syscalls.run(options, signals)
        else:
            from ebtop.commands import stream

            stream.run(options, signals)
    return 0
