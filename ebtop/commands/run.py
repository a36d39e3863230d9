# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sequence of `ebtop run`: hold the command, start the probes, release it, wait, report.

The command's process is run_command.py's, what is learnt of the tree model/process_tree.py's, the
report outputs/run_json.py's and outputs/runtext.py's. Signals that are meant for the command reach
it.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Any, Optional

from ebtop.commands import run_shelter
from ebtop.commands.run_command import Command, run_in_place, status_of
from ebtop.commands.run_user import of_command
from ebtop.errors import EXIT_FAILED, EbtopError, UsageError
from ebtop.options.options import Options
from ebtop.outputs.run_files import Files
from ebtop.runtime import privilege
from ebtop.runtime.environment import given
from ebtop.runtime.signals import ENDING, Signals
from ebtop.runtime.stdio import say

if TYPE_CHECKING:
    from ebtop.model.process_tree import ProcessTree
    from ebtop.model.snapshot import Snapshot
    from ebtop.outputs.run_json import Run, Usage

_FIRST_LOOK_S, _SLOWER, _SLOWEST_S = 0.1, 1.3, 1.0
_DRAIN_PAUSE_S = 0.02
_SETTLE_S = 2.0
_MARGIN_BYTES = 512 << 10
_OF_TERMINAL = (signal.SIGINT, signal.SIGQUIT)


def run(options: Options) -> int:
    """The exit status: the command's, where there is one."""
    user, about = of_command(options, sys.argv[1:])
    if options.words and given() is None:
        raise EbtopError("the command's environment is not known: there is no tr, sed or base64")
    if about:
        say(about)
    files = Files(options.output, options.samples, user)
    limit = run_shelter.limit() if options.words else None
    if limit and limit.unwatched:
        say(limit.unwatched)
        return run_in_place(list(options.words), user)
    try:
        command = Command(list(options.words), user) if options.words else None
    except BlockingIOError:
        say("no further process is allowed (ulimit -u): the command runs unwatched")
        return run_in_place(list(options.words), user)
    if command and limit:
        run_shelter.stand_by(command, user)
    watched = command.pid if command else options.pids[0]
    signals = _Signals(command.pid if command and command.is_ours else None)
    with signals:
        try:
            session = RunSession(options, files, watched, command, signals, user, limit)
        except BaseException:
            if command:
                command.abandon()
            raise
        return session.run()


class _Signals(Signals):
    """Forwards signals to the running command, unless the terminal has sent them to it already."""

    def __init__(self, pid: Optional[int]) -> None:
        self.pid = pid
        self.wanted = False
        """The user wants the report now; with a command it is written once the command has
        exited."""
        super().__init__((*ENDING, signal.SIGQUIT))

    def _came(self, number: int, frame: Optional[FrameType]) -> None:
        super()._came(number, frame)
        self.wanted = True
        if self.pid is None or (number in _OF_TERMINAL and _in_foreground()):
            return
        with contextlib.suppress(OSError):
            os.kill(self.pid, number)


def _in_foreground() -> bool:
    """Whether the terminal sends its signals to us, and so to the command too."""
    try:
        fd = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(fd)


class RunSession:
    """One run, from the opened source to the report."""

    def __init__(
        self, options: Options, files: Files, pid: int, command: Optional[Command],
        signals: _Signals, user: Optional[privilege.User], limit: Optional[run_shelter.Limit],
    ) -> None:  # fmt: skip
        from ebtop.control.choose import note
        from ebtop.sources.host import read_small

        self._options = options
        self._files = files
        self._command = command
        self._signals = signals
        with signals.at_once(lambda number: 128 + number), _imports():
            self._source = _open_source(options, pid, limit)
        self._source.refresh(cost=True)  # the kernel's statistics take privileges to switch on
        self._drop(user)
        from ebtop.model.process_tree import ProcessTree
        from ebtop.model.runcost import RunCost

        about = note(self._source)
        if about:
            say(about)
        self._tree: ProcessTree = ProcessTree(pid)
        if command:
            command.warm_up()
            # with a margin for the start itself, and for the kernel's coarse counting
            self._tree.floor_rss_bytes = _MARGIN_BYTES + _high_water(
                read_small(f"/proc/{pid}/status")
            )
        self._held_ns = _oncpu(read_small(f"/proc/{pid}/schedstat")) if command else None
        self._source.look_at_watched()
        self._source.refresh(cost=True, cumulative=True, reset=True)
        self._cost = RunCost()
        self._own_began_ns = time.process_time_ns()
        self._usage: Optional[Usage] = None
        self._began = time.time()
        self._began_ns = self._ended_ns = time.monotonic_ns()
        self._pidfd = _pidfd(pid)
        self._last: Optional[Snapshot] = None

    def _drop(self, user: Optional[privilege.User]) -> None:
        from ebtop.sources.bpf import Session

        # only root can signal a command that runs as root
        keeps = privilege.SIGNALLING if os.geteuid() == 0 and user is None else frozenset[str]()
        about = privilege.drop(isinstance(self._source, Session), keeps)
        if about:
            say(about)

    def run(self) -> int:
        with self._source:
            if self._command is not None:
                error = self._command.release()
                if error is not None:
                    self._command.wait()
                    word = self._command.words[0]
                    say(f"{word}: {os.strerror(error)}")
                    return status_of(error)
            self._until_ended()
            code = self._end()
            self._report(code)
        if not self._files.close() and self._options.output_required:
            return EXIT_FAILED
        return 0 if self._command is None or code is None else code

    # ---- while it runs ----

    def _until_ended(self) -> None:
        delay = _FIRST_LOOK_S
        due = time.monotonic() + delay
        stop = None
        if self._options.duration_s is not None:
            stop = time.monotonic() + self._options.duration_s
        while True:
            self._wait(due if stop is None else min(due, stop))
            if self._is_over(stop):
                self._ended_ns = time.monotonic_ns()
                self._cost.cpu_ns = time.process_time_ns() - self._own_began_ns
                return
            if time.monotonic() >= due:
                self._look()
                delay = min(_SLOWEST_S, delay * _SLOWER)
                due = time.monotonic() + delay

    def _is_over(self, stop: Optional[float]) -> bool:
        if self._command is not None:
            return self._command.has_ended()
        late = stop is not None and time.monotonic() >= stop
        return late or self._signals.wanted or not _lives(self._tree.pid)

    def _wait(self, until: float) -> None:
        """Until then, or until it ends or a signal comes; drains events meanwhile."""
        quiet, poller = select.poll(), select.poll()
        for poll in (quiet, poller):
            poll.register(self._signals.fd, select.POLLIN)
            if self._pidfd is not None:
                poll.register(self._pidfd, select.POLLIN)
        if self._source.event_fd is not None:
            poller.register(self._source.event_fd, select.POLLIN)
        while True:
            left = until - time.monotonic()
            if left <= 0:
                return
            ready = {fd for fd, _ in poller.poll(left * 1000 + 1)}
            if ready & {self._signals.fd, self._pidfd}:
                self._signals.hush()
                return
            if ready:
                self._source.poll()
                pause = min(_DRAIN_PAUSE_S, max(0.0, until - time.monotonic()))
                if quiet.poll(pause * 1000):
                    self._signals.hush()
                    return

    def _look(self) -> None:
        snapshot = self._source.refresh(cost=True, cumulative=True, window="reset", symbols=False)
        self._tree.absorb(snapshot)
        self._cost.absorb(snapshot)
        self._last = snapshot
        if self._command is None or snapshot.source == "proc":
            self._name_old_ones()
        if self._files.want_samples:
            from ebtop.outputs.run_json import sample_line

            self._files.add_sample(sample_line(self._tree, snapshot, self._began_ns))

    def _name_old_ones(self) -> None:
        """Reads the arguments of processes whose exec was not seen."""
        from ebtop.sources.cmdline import read_command_line

        for key, one in self._tree.members.items():
            if not one.ended and key not in self._tree.args:
                self._tree.args[key] = read_command_line(key[0]) or b""

    # ---- at its end ----

    def _end(self) -> Optional[int]:
        """The exit code of the command, which is kept as a zombie until all its events are in."""
        self._settle()
        code = None
        if self._command is not None:
            status, usage = self._command.wait()
            code = os.WTERMSIG(status) + 128 if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            self._signals.pid = None
            self._usage = _usage(usage, self._held_ns)
        if self._options.wait:
            self._signals.wanted = False
            self._pidfd = None
            self._wait_for_all()
        return code

    def _settle(self) -> None:
        """Events of an exited process may arrive a moment later: wait for them."""
        end = time.monotonic() + _SETTLE_S
        pause = 0.001
        while True:
            self._look()
            if all(map(_lives, self._tree.living)) or time.monotonic() > end:
                return
            time.sleep(pause)
            pause = min(0.05, pause * 2)

    def _wait_for_all(self) -> None:
        delay = _FIRST_LOOK_S
        while self._tree.living and not self._signals.wanted:
            self._wait(time.monotonic() + delay)
            self._look()
            delay = min(_SLOWEST_S, delay * _SLOWER)

    def _report(self, code: Optional[int]) -> None:
        from ebtop.outputs.run_json import Run, json_pieces
        from ebtop.outputs.runtext import text_report
        from ebtop.runtime.stdio import locale_is_utf8
        from ebtop.sources.machine import machine

        assert self._last is not None
        result: Run = Run(
            words=tuple(os.fsencode(word) for word in self._options.words),
            exit_code=code,
            duration_ns=self._ended_ns - self._began_ns,
            tree=self._tree,
            last=self._source.named(self._last),
            machine=machine(),
            usage=self._usage,
            began=self._began,
            cost=self._cost,
            lost=self._last.self_cost.lost_total,
        )
        if self._options.json:
            self._files.write_report(json_pieces(result))
        else:
            self._files.write_report([text_report(result, not locale_is_utf8())])


@contextlib.contextmanager
def _imports() -> Iterator[None]:
    """Imports the modules of the report while the kernel verifies the programs: the user that ebtop
    becomes afterwards may not be able to read them."""
    import ebtop.control.choose  # noqa: F401 - what is waited for comes first

    done = _thread.allocate_lock()
    done.acquire()
    _thread.start_new_thread(_import_all, (done,))
    try:
        yield
    finally:
        done.acquire()


def _import_all(done: Any) -> None:
    try:
        from ebtop.outputs import runtext  # noqa: F401 - they import the others
        from ebtop.sources import cmdline, machine  # noqa: F401 - they import the others
    except Exception as error:  # it comes again where it is needed, and can be said
        del error
    finally:
        done.release()


def _open_source(options: Options, pid: int, limit: Optional[run_shelter.Limit]) -> Any:
    from ebtop.control.choose import open_source
    from ebtop.errors import Unsupported
    from ebtop.sources.host import in_own_pid_namespace
    from ebtop.sources.procfs import ProcSource

    if options.source != "proc" and in_own_pid_namespace():
        why = "in a pid namespace the kernel's own pids are not known"
        if options.source == "bpf":
            raise Unsupported(why)
        return ProcSource(reason=why, connections=False)
    asked = replace(options, pids=(pid,), descendants=True)
    return open_source(asked, tables_bytes=limit.tables_bytes if limit else None)


def _usage(usage: Any, held_ns: Optional[int]) -> Usage:
    from ebtop.outputs.run_json import Usage

    return Usage(
        user_ns=round(usage.ru_utime * 1e9),
        kernel_ns=round(usage.ru_stime * 1e9),
        peak_rss_bytes=usage.ru_maxrss * 1024,
        minor_faults=usage.ru_minflt,
        major_faults=usage.ru_majflt,
        blocks_in=usage.ru_inblock,
        blocks_out=usage.ru_oublock,
        voluntary_switches=usage.ru_nvcsw,
        involuntary_switches=usage.ru_nivcsw,
        held_ns=held_ns,
    )


def _high_water(status: Optional[bytes]) -> int:
    """The most resident memory that a process has had, by its /proc/PID/status."""
    for line in (status or b"").splitlines():
        words = line.split()
        if words[:1] == [b"VmHWM:"]:
            return int(words[1]) * 1024
    return 0


def _oncpu(schedstat: Optional[bytes]) -> Optional[int]:
    """A process's time on a CPU, by its /proc/PID/schedstat."""
    words = (schedstat or b"").split()
    return int(words[0]) if words else None


def _pidfd(pid: int) -> Optional[int]:
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if isinstance(error, ProcessLookupError):
            raise UsageError(f"there is no process {pid}") from None
        return None


def _lives(pid: int) -> bool:
    from ebtop.sources.host import read_small

    words = (read_small(f"/proc/{pid}/stat") or b"").rpartition(b")")[2].split()
    return bool(words) and words[0] not in (b"Z", b"X")
