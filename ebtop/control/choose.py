# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the choice between the BPF session and /proc, made by trying, and the messages about it.

It also knows how to restart ebtop with more privileges, but never does so unasked.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Optional, Union

from ebtop.errors import EbtopError, PermissionDenied, Unsupported
from ebtop.model import syscallnames
from ebtop.model.snapshot import ProbeStatus
from ebtop.options import settable
from ebtop.options.options import Options
from ebtop.options.targets import kernel_filter
from ebtop.probes import LIFE, NAMES, SCHED, TASKS, TCP
from ebtop.runtime.environment import as_mapping, given
from ebtop.sources.bpf import Session, without_sched
from ebtop.sources.host import in_own_pid_namespace
from ebtop.sources.procaccess import Reader, reader
from ebtop.sources.procfs import ProcSource
from ebtop.sources.room import choose

Source = Union[Session, ProcSource]

PID_NAMESPACE = (
    "in a pid namespace: pids are the machine's own, not those that ps shows here;"
    " of what is outside, only what ran is seen"
)

_SUDO_PATHS = ("/usr/bin/sudo", "/bin/sudo", "/usr/local/bin/sudo", "/run/wrappers/bin/sudo")


def open_source(
    options: Options, verifier_stats: bool = False, tables_bytes: Optional[int] = None
) -> Source:
    """Raises PermissionDenied or Unsupported only with --source bpf.

    `tables_bytes`: the limit for the kernel's tables.
    """
    # for a report, the connections that happen to be open at a sample would be misleading
    connections = TCP.name in (options.probes or NAMES) and options.command != "run"
    if options.source == "proc":
        return ProcSource(connections=connections, reader=_reader(options))
    try:
        session = Session(
            options.probes,
            events_bytes=options.buffer_bytes,
            filter=kernel_filter(options),
            accepts=settable.bits(options.command),
            verifier_stats=verifier_stats,
            # read the symbols now: later it would compete with the command for the CPU
            symbols_ahead=options.command == "run",
            # a screen would be written over
            debug=options.debug and options.command != "dashboard",
            room=choose(tables_bytes=tables_bytes),
        )
        return session if options.command == "doctor" else _worth(session, options)
    except EbtopError as error:
        if options.source == "bpf":
            raise refusal(error) from error
        refused = _refused(options, error)
        return ProcSource(
            reason=_reason(error), probes=refused, connections=connections, reader=_reader(options)
        )


def _worth(session: Session, options: Options) -> Source:
    """The session, if it knows more than /proc: births and exits alone do not make a table of
    processes."""
    running = {own.probe for own in session.programs()}
    wanted = {SCHED.name, TASKS.name}.intersection(options.probes or NAMES)
    if not _wants_sched(options) or wanted <= running:
        return session
    probes = session.refresh().probes
    if SCHED.name in running:
        tasks = next(probe for probe in probes if probe.name == TASKS.name)
        session.lacks = f"only what runs is known: the probe tasks does not: {tasks.reason}"
        return session
    why = without_sched(probes) or ""
    denied = any(probe.name == SCHED.name and probe.state == "denied" for probe in probes)
    if options.source == "bpf":
        session.close()
        raise PermissionDenied(why) if denied else Unsupported(why)
    if any(probe.name == TASKS.name and probe.state == "on" for probe in probes):
        session.lacks = f"no exact times: {why}"
        return session
    session.close()
    stopped = "of no use without sched and tasks"
    left = tuple(
        replace(probe, state="off", hook="", reason=stopped) if probe.state == "on" else probe
        for probe in probes
    )
    reason = _reason(PermissionDenied(why) if denied else Unsupported(why))
    connections = TCP.name in (options.probes or NAMES)
    return ProcSource(reason=reason, probes=left, connections=connections, reader=_reader(options))


def _reader(options: Options) -> Optional[Reader]:
    """A process more, where what it reads is shown: of the report of `run` it is no part."""
    if options.command not in _SHOWING:
        return None
    syscallnames.load()
    return reader()


_SHOWING = ("dashboard", "once", "batch", "json")


def _wants_sched(options: Options) -> bool:
    """All probes but these two bring sched with them."""
    return not {LIFE.name, TASKS.name}.issuperset(options.probes or NAMES)


def refusal(error: EbtopError) -> EbtopError:
    """The error that ends a command which has no other source."""
    kind = PermissionDenied if isinstance(error, PermissionDenied) else Unsupported
    return kind(_reason(error))


def _reason(error: EbtopError) -> str:
    """The reason, and the command to type if more privileges would help."""
    if not isinstance(error, PermissionDenied):
        return str(error)
    if os.geteuid() == 0:
        return str(error)  # root in a container, or without capabilities: doctor knows more
    return f"not root ({error}); try: {root_command()}"


def note(source: Source) -> Optional[str]:
    """One line on the limits of this source, for the reader of samples."""
    if isinstance(source, ProcSource):
        return f"reading /proc only: {source.reason}" if source.reason else None
    notes = [source.lacks] if source.lacks else []
    notes += [source.room.about] if source.room.about else []
    notes += [PID_NAMESPACE] if in_own_pid_namespace() else []
    return "; ".join(notes) or None


def _refused(options: Options, error: EbtopError) -> tuple[ProbeStatus, ...]:
    state = "denied" if isinstance(error, PermissionDenied) else "failed"
    if isinstance(error, Unsupported):
        state = "unsupported"
    chosen = options.probes or NAMES
    return tuple(
        ProbeStatus(name, state, "", str(error), None, None)
        if name in chosen
        else ProbeStatus(name, "off", "", "not asked for", None, None)
        for name in NAMES
    )


def root_command() -> str:
    """The command that runs the same as root, quoted for a shell."""
    from shlex import quote

    return " ".join(quote(word) for word in ["sudo", *_own_command()])


def _own_command() -> list[str]:
    """This very command: absolute path, same arguments."""
    arguments = [word for word in sys.argv[1:] if word != "--sudo"]
    script = os.path.abspath(sys.argv[0])
    if os.path.basename(script) != "__main__.py":
        return [script, *arguments]
    # the launcher starts `python -I -m ebtop`, and lies beside that python
    launcher = os.path.join(os.path.dirname(sys.executable), "ebtop")
    if sys.flags.isolated and os.access(launcher, os.X_OK):
        return [launcher, *arguments]
    isolated = ["-I"] if sys.flags.isolated else []
    return [sys.executable, *isolated, "-m", "ebtop", *arguments]


def become_root() -> None:
    """Starts this command again through sudo. Comes back only when there is no sudo."""
    command = _own_command()
    if "NO_COLOR" in os.environ and "--color" not in " ".join(command):
        command += ["--color", "never"]  # sudo does not hand the variable on
    for sudo in _SUDO_PATHS:
        if os.access(sudo, os.X_OK):
            # what sudo itself asks with, and keeps where it is set up to
            os.execve(sudo, [sudo, "--", *command], as_mapping(given() or ()))
    raise EbtopError(f"there is no sudo in {', '.join(_SUDO_PATHS)}")
