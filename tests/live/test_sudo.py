# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""As whom the command of `run` runs: through the real sudo, its shells and su."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from rootways import GID, SUDO_SETTINGS, UID, Ways, ways, why_no_sudo
from running import command

ASK = [sys.executable, "-I", "-S", "-c", "import os; print(os.getresuid(), os.getresgid())"]
USER, ROOT = f"{(UID,) * 3} {(GID,) * 3}", f"{(0,) * 3} {(0,) * 3}"
SAYS = "ebtop: the command runs as user ebtop-user, who called sudo; --as-root runs it as root"
WHY = "without CAP_SETUID"
REFUSES = (
    f"ebtop: cannot run the command as user ebtop-user, who called sudo: {WHY};"
    " --as-root runs it as root"
)
pytestmark = pytest.mark.skipif(bool(why_no_sudo()), reason=why_no_sudo())


@pytest.fixture(params=SUDO_SETTINGS)
def way(request: pytest.FixtureRequest) -> Iterator[Ways]:
    with ways(SUDO_SETTINGS[request.param]) as found:
        yield found


Result = tuple[int, list[str], list[str]]
Way = Callable[..., "list[str]"]


def run(way: Way, *options: str, before: tuple[str, ...] = (), **settings: int) -> Result:
    """Status, what the command said of itself, and what ebtop said."""
    words = way(*before, *command("run", *options, "--", *ASK), **settings)
    done = subprocess.run(
        words, env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout.splitlines()[:1], done.stderr.splitlines()


def test_through_sudo_it_is_the_user_again(way: Ways) -> None:
    assert run(way.sudo) == (0, [USER], [])


def test_through_sudo_and_another_program_too(way: Ways) -> None:
    assert run(way.sudo, before=("timeout", "100")) == (0, [USER], [])


def test_in_a_shell_of_sudo_it_is_the_user_and_that_is_said(way: Ways) -> None:
    assert run(way.shell_of_sudo) == (0, [USER], [SAYS])


def test_as_root_it_is_root_wherever(way: Ways) -> None:
    assert run(way.sudo, "--as-root") == (0, [ROOT], [])
    assert run(way.shell_of_sudo, "--as-root") == (0, [ROOT], [])


def test_in_a_login_as_root_it_is_root(way: Ways) -> None:
    assert run(way.su) == (0, [ROOT], [])


def test_on_another_terminal_it_is_root() -> None:
    """With the variables of sudo, in what a shell of sudo left running: as in tmux."""
    spawn = (
        "import os, pty, sys; status = pty.spawn(sys.argv[1:]);"
        "sys.exit(os.waitstatus_to_exitcode(status))"
    )
    before = ("/usr/bin/python3", "-I", "-S", "-c", spawn, "/bin/sh", "-c", '"$@"; exit $?', "sh")
    with ways() as way:
        status, lines, _ = run(way.shell_of_sudo, before=before)
    assert (status, lines) == (0, [ROOT])


def test_the_group_of_root_is_kept_where_it_is_the_user_s() -> None:
    with ways(group=0) as way:
        assert run(way.sudo, group=0) == (0, [f"{(UID,) * 3} {(0,) * 3}"], [])


@pytest.mark.parametrize("kind", ["sudo", "shell_of_sudo"])
def test_who_cannot_be_the_user_refuses_and_says_what_to_do(kind: str) -> None:
    confined = ("setpriv", "--bounding-set=-setuid", "--inh-caps=-setuid")
    with ways() as found:
        way = getattr(found, kind)
        assert run(way, before=confined) == (77, [], [REFUSES])
        status, lines, said = run(way, "--as-root", before=confined)
    assert (status, lines) == (0, [ROOT])
    assert said == [f"ebtop: remains user root, {WHY}; other privileges are given up"]


def test_sudo_s_variables_alone_make_nobody_the_user() -> None:
    def way(*words: str) -> list[str]:
        return ["env", f"SUDO_UID={UID}", f"SUDO_GID={GID}", *words]

    assert run(way) == (0, [ROOT], [])
