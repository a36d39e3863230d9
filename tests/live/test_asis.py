# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""`ebtop run` starts a command as it would have been started without: the same program says the
same of itself."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from observe import allowed, workload
from running import command

LONG = allowed(60)
INSTALLED = str(Path(sys.executable).parent / "ebtop")
"""Through the launcher, as users start it."""
PLAIN = {"PATH": "/usr/bin:/bin", "HOME": "/somewhere", "LANG": "C"}


def said(words: list[str], environment: dict[bytes, bytes], before: Callable[[], object]) -> str:
    with Path("/etc/hostname").open() as third:
        done = subprocess.run(
            words, env=environment, preexec_fn=before, restore_signals=False, cwd="/usr",
            stdin=subprocess.DEVNULL, capture_output=True, pass_fds=(third.fileno(),),
            timeout=LONG, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("utf-8", "backslashreplace")


def differences(
    environment: dict[bytes, bytes] | dict[str, str], before: Callable[[], object],
    start: list[str] | None = None, tmp_path: Path = Path("/tmp"),
) -> list[str]:  # fmt: skip
    """What the command says otherwise than without ebtop; empty where nothing differs."""
    program = [workload("asis"), "one", "", "três"]
    given = {os.fsencode(k): os.fsencode(v) for k, v in environment.items()}
    without = said(program, given, before)
    report = ["--output", str(tmp_path / "report")]
    start = start or [INSTALLED, "run"]
    within = said([*start, *report, "--", *program], given, before)
    assert without.count("signal ") > 50 and "variable" in without
    one, other = without.splitlines(), within.splitlines()
    return [line for line in (*one, *other) if (line in one) != (line in other)]


def nothing() -> None:
    """As it is."""


@pytest.mark.parametrize(
    "environment",
    [
        PLAIN,
        {"PATH": "/usr/bin:/bin"},
        {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PWD": "/not/here", "OLDPWD": "x", "_": "y"},
        {"PATH": "/usr/bin:/bin", "LC_CTYPE": "", "SHLVL": "7", "IFS": "x", "PS4": "$(id)"},
        {"PATH": "/usr/bin:/bin", "od.d": "1", "a b": "2", "1": "3", "BASH_FUNC_x%%": "() { :; }"},
        {"PATH": "/usr/bin:/bin", "line\nbreak": "a\nb", "é": "ü", "quote'": "\"$HOME`id`"},
        {"PATH": "/usr/bin:/bin", "-i": "", "-": "x", "--": "y"},
        {b"PATH": b"/usr/bin:/bin", b"\xff\xfe": b"\x80\x81", b"empty": b"", b"a": b"=b=c"},
        {"PATH": "/usr/bin:/bin", "PYTHONHOME": "/no", "LD_LIBRARY_PATH": "/no",
         "PYTHONEXECUTABLE": "/no", "EBTOP_GIVEN": "1", "EBTOP_GIVEN_0": "x", "TERM": "dumb"},
        {"PATH": "/usr/bin:/bin", "large": "x" * 120_000, "larger": "y" * 130_000},
        {"PATH": "/usr/bin:/bin", **{f"many{i}": str(i) for i in range(2003)}},
    ],
    ids=range(11),
)  # fmt: skip
def test_the_environment_is_the_command_s(environment, tmp_path):
    assert differences(environment, nothing, tmp_path=tmp_path) == []


def test_strings_that_are_no_variables_are_there_too(tmp_path):
    """Twice the same name, and no name at all: execve(2) passes on whatever it is given."""
    strings = ["PATH=/usr/bin:/bin", "twice=1", "twice=2", "=no name", "no value", ""]
    code = """if True:
        import ctypes, sys
        words, strings = eval(sys.argv[1])
        def array(of):
            return (ctypes.c_char_p * (len(of) + 1))(*[word.encode() for word in of], None)
        ctypes.CDLL(None).execve(words[0].encode(), array(words), array(strings))
    """
    told = []
    program = [workload("asis")]
    for start in ([], [INSTALLED, "run", "--output", str(tmp_path / "report"), "--"]):
        words = [sys.executable, "-c", code, repr(([*start, *program], strings))]
        done = subprocess.run(words, capture_output=True, timeout=LONG)
        told.append([line for line in done.stdout.splitlines() if line.startswith(b"variable")])
    assert len(told[0]) == len(strings) and told[0] == told[1]


def ignore(*numbers: int) -> Callable[[], None]:
    def before() -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)

    return before


def block() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGALRM, signal.SIGTERM})


def all_default() -> None:
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def limits() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (333, 444))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_STACK, (1 << 22, 1 << 24))
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (1 << 14, 1 << 15))
    os.nice(3)
    os.umask(0o027)
    os.setgroups([7, 1234])
    os.sched_setaffinity(0, {0})


WAYS = {
    "nothing": nothing,
    "defaults": all_default,
    "ignored": ignore(
        signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1,
        signal.SIGALRM, signal.SIGHUP, signal.SIGTERM, signal.SIGTSTP, signal.SIGTTOU,
    ),
    "blocked": block,
    "limits": limits,
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_signals_limits_and_all_else_are_the_command_s(way, tmp_path):
    assert differences(PLAIN, WAYS[way], tmp_path=tmp_path) == []


def test_a_child_that_nobody_waits_for_may_be_ignored(tmp_path):
    """Without a shell between: dash, as the launcher's, has SIGCHLD as it likes."""
    start = command("run")

    def before() -> None:
        all_default()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    assert differences({**PLAIN, "LC_ALL": "C.UTF-8"}, before, start, tmp_path) == []


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_what_was_closed_stays_closed(closed, tmp_path):
    found = []
    for start in ([], [INSTALLED, "run", "--output", str(tmp_path / "report"), "--"]):
        out = tmp_path / f"out{len(found)}"
        script = f'exec 9>"$0" {closed}>&-; exec "$@"'
        inner = ["sh", "-c", "for fd in 0 1 2; do [ -e /proc/self/fd/$fd ] || echo $fd >&9; done"]
        subprocess.run(["sh", "-c", script, str(out), *start, *inner], timeout=LONG, check=False)
        found.append(out.read_text())
    assert found[0] == found[1] == f"{closed}\n"
