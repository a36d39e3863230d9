# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the small parent of the dashboard: it waits for the dashboard to exit and restores the
terminal.

It is not imported but executed, in the process that the user started, by an interpreter without
`site`. It lives as long as the dashboard, so it imports next to nothing (9.6 MB resident instead of
16). It has no handlers and does not poll: it waits for signals.

It holds the user's terminal, so the user it becomes must not reach its descriptors. exec makes a
process traceable by its user, so this process is still root when it starts here, and drops
its privileges itself, with the same C code as the dashboard.
"""

# signal itself brings enum and more, another megabyte; importlib.machinery, half of one
import _frozen_importlib
import _frozen_importlib_external
import _imp
import _signal as signal  # type: ignore[import-not-found]
import posix
import sys
import termios

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP,
             signal.SIGUSR1)  # fmt: skip
_SENT_BY_KERNEL = 0x80
_MOST_FDS = 4096
_FLAGS = 6
"""The number of values that tcgetattr returns before the control characters."""
ENTERED, LEFT = b"E", b"L"
NEEDED = ("_cffi_backend", "ebtop._core")
"""The compiled modules to give up privileges with, in the order of their loading."""
_WAIT_S = 0.1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def waited() -> "set[int]":
    """The signals to block before the fork and to wait for after it.

    Signals that are ignored at start, as by nohup or `&` in a script, stay ignored.
    """
    heard = {number for number in FORWARDED if signal.getsignal(number) != signal.SIG_IGN}
    return heard | {signal.SIGCHLD}


def keep(pid: int, notes: int, terminal: int, settings: str) -> int:
    """The exit status for the end of child `pid`, with the terminal as `settings` say.

    The signals of `waited()` are blocked. `notes` is the end of a pipe to read.
    """
    status = _follow(pid)
    told = _read(notes)
    if not _in_time(_leave_screen, terminal, told):
        # nobody reads the terminal: discard the output queue, which belongs to a screen we leave
        _in_time(termios.tcflush, terminal, termios.TCOFLUSH)
        _in_time(_leave_screen, terminal, told)
    if not _in_time(_restore, terminal, settings, termios.TCSADRAIN):
        _restore(terminal, settings, termios.TCSANOW)
    if posix.WIFSIGNALED(status):
        return 128 + posix.WTERMSIG(status)
    return posix.WEXITSTATUS(status)


def _follow(pid: int) -> int:
    """Passes signals on until the child is gone; its wait status."""
    signals = waited()
    while True:
        while True:
            done, status = posix.waitpid(pid, posix.WNOHANG | posix.WUNTRACED)
            if done == 0:
                break
            if not posix.WIFSTOPPED(status):
                return status
            if posix.WSTOPSIG(status) != signal.SIGSTOP:
                # Ctrl-Z: stop too, for the shell waits for this process only
                posix.kill(posix.getpid(), signal.SIGSTOP)
                posix.kill(pid, signal.SIGCONT)
        told = signal.sigwaitinfo(signals)
        # signals from the terminal have reached the child already
        if told.si_signo != signal.SIGCHLD and told.si_code != _SENT_BY_KERNEL:
            posix.kill(pid, told.si_signo)


def _in_time(step: "Callable[..., None]", *arguments: object) -> bool:
    """Whether the step finished in time: a terminal that nobody reads blocks writes."""
    waiting = True

    def end(number: int, frame: object) -> None:
        if waiting:
            raise TimeoutError

    signal.signal(signal.SIGALRM, end)
    # again and again, for the first may come just before the call that it should interrupt
    signal.setitimer(signal.ITIMER_REAL, _WAIT_S, _WAIT_S)
    try:
        step(*arguments)
        waiting = False
    except TimeoutError:
        waiting = False
        return False
    except termios.error:
        waiting = False  # the terminal is gone
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return True


def _leave_screen(terminal: int, notes: bytes) -> None:
    told = notes.split(b"\n")
    entered = [note[1:] for note in told if note.startswith(ENTERED)]
    if not entered or LEFT in told:
        return
    try:
        # stopped with Ctrl-S it would take nothing; the kernel lifts a stop of its own kind alone
        termios.tcflow(terminal, termios.TCOOFF)
        termios.tcflow(terminal, termios.TCOON)
        posix.write(terminal, bytes.fromhex(entered[-1].decode("ascii")))
    except (OSError, termios.error) as error:
        if isinstance(error, TimeoutError):
            raise
        # else the terminal is gone


def _read(notes: int) -> bytes:
    # A grandchild could hold the other end open: take what is there, do not wait for the end.
    posix.set_blocking(notes, False)
    try:
        return posix.read(notes, 1 << 16)
    except BlockingIOError:
        return b""


def settings_of(terminal: int) -> str:
    """The terminal's settings as text; empty where they cannot be read."""
    try:
        *flags, characters = termios.tcgetattr(terminal)
    except termios.error:
        return ""
    codes = [c if isinstance(c, int) else c[0] for c in characters]
    return " ".join(map(str, [*flags, *codes]))


def _restore(terminal: int, settings: str, when: int) -> None:
    if not settings or settings_of(terminal) in ("", settings):
        return
    numbers = [int(word) for word in settings.split()]
    before: list[int | list[int]] = [*numbers[:_FLAGS], numbers[_FLAGS:]]
    try:  # noqa: SIM105 - contextlib is an import more
        termios.tcsetattr(terminal, when, before)
    except termios.error:
        pass  # the terminal is gone, or a signal came


def _load(name: str, path: str) -> None:
    """The compiled module of that name: that file, whatever sys.path holds. PyPy has one inside."""
    if name in sys.builtin_module_names:
        return
    loader = _frozen_importlib_external.ExtensionFileLoader(name, path)
    sys.modules[name] = _imp.create_dynamic(_frozen_importlib.ModuleSpec(name, loader, origin=path))
    _imp.exec_dynamic(sys.modules[name])


def _give_up(paths: "list[str]", user: "list[str]") -> None:
    """Becomes that user, if any, and drops all capabilities; exits if that fails."""
    for name, path in zip(NEEDED, paths):
        _load(name, path)
    core = sys.modules[NEEDED[-1]]
    uid, gid = map(int, user) if user else (core.lib.EBTOP_ANY_UID, 0)
    error = core.ffi.new("struct ebtop_error *")
    if core.lib.ebtop_drop_privileges([(0, uid, gid)], error):
        posix.write(2, b"ebtop: " + core.ffi.string(error.what) + b"\n")
        sys.exit(1)


def main(pid: str, notes: str, terminal: str, settings: str, *more: str) -> int:
    """`more`: the files of NEEDED, then the numbers of the user to become, if anybody."""
    paths, user = more[: len(NEEDED)], more[len(NEEDED) :]
    _give_up(list(paths), list(user))
    return keep(int(pid), int(notes), int(terminal), settings)


if __name__ == "__main__":
    status = main(*sys.argv[1:])
    # Its memory goes first, and a kernel without commit 31e62c2ebbfd "ptrace: slightly saner
    # 'get_dumpable()' logic" (in v7.1) then lets its user take what it still holds.
    posix.closerange(0, _MOST_FDS)
    posix._exit(status)
