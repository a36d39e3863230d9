# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Nobody gets into a process of ebtop: not by ptrace, not at its descriptors, not at its memory,
from its first instant to its last, whoever it becomes and however it was started."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from observe import EMULATED, allowed
from rootways import GID, UID, ways, why_no_sudo
from running import TREE, command
from trespassing import CALLER, NOBODY, OTHER, VICTIM, WAYS, attackers, dashboard, start

LAUNCHER = Path(sys.executable).with_name("ebtop")
COMMANDS = [
    ("--json", "-n", "2", "-d", "0.2"),
    ("-b", "-n", "2", "-d", "0.2", "--source", "proc"),
    ("selftest",),
    ("--once",),
    ("exec", "--json"),
    ("syscalls", "-n", "2", "-d", "0.2"),
    ("doctor",),
    ("set", "none"),
][: 3 if EMULATED else None]
"""In an emulated machine each takes long, and the others give up as the first does."""
every_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture(scope="module")
def victim() -> Iterator[str]:
    """A program of that name which everybody can run."""
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    folder.chmod(0o755)
    shutil.copy(shutil.which("sleep") or "/bin/sleep", folder / VICTIM)
    yield str(folder / VICTIM)
    shutil.rmtree(folder)


def test_the_attackers_get_into_what_is_theirs() -> None:
    with attackers(CALLER, OTHER) as tries:
        subprocess.run(
            ["setpriv", f"--reuid={UID}", f"--regid={GID}", "--clear-groups", "sleep",
             str(allowed(0.3))], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip
    ways = {(one[1], one[2]) for one in tries.inside if one[3:5] == ["sleep"] * 2}
    assert {way for way, _ in ways} == {
        "ptrace", "pidfd_getfd", "open", "readlink", "process_vm_readv", "kcmp", "get_robust_list",
    }  # fmt: skip
    assert {detail for way, detail in ways if way == "open"} >= {"mem", "environ", "maps", "fd/1"}


@every_way
@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda words: words[0])
def test_nobody_gets_into_a_command(way: str, arguments: tuple[str, ...]) -> None:
    environment, user = WAYS[way]
    with attackers(user, OTHER) as tries:
        process = start(*arguments, environment=environment)
        try:
            process.wait(allowed(2))
        except subprocess.TimeoutExpired:
            process.terminate()
        process.wait(allowed(30))
        time.sleep(0.1)
    assert process.pid in tries.met
    assert not tries.into_ebtop(ending="proc" in arguments)


@every_way
@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_nobody_gets_into_a_run(way: str, options: tuple[str, ...], victim: str) -> None:
    environment, user = WAYS[way]
    if way == "sudo":
        environment = {**environment, "SUDO_COMMAND": "ebtop run"}
    with attackers(user, OTHER) as tries:
        process = start("run", *options, "--", victim, str(allowed(0.5)), environment=environment)
        assert process.wait(allowed(30)) == 0
    (command_pid,) = [pid for pid, names in tries.met.items() if VICTIM in names]
    assert process.pid in tries.met and len(tries.met[command_pid]) > 1, "tried before its exec too"
    assert not tries.into_ebtop()
    # so they do get into what runs as them
    assert (way == "sudo") == any(one[0] == str(command_pid) for one in tries.inside)


@every_way
def test_nobody_gets_into_the_dashboard(way: str) -> None:
    start_isolated = f"import sys; sys.path.insert(0, {str(TREE)!r}); from ebtop.cli import main;"
    dashboard(*WAYS[way], start_isolated + "sys.exit(main())")


@every_way
@pytest.mark.skipif(not LAUNCHER.exists(), reason="ebtop is not installed beside this Python")
def test_nobody_gets_into_what_the_script_starts(way: str) -> None:
    starts = f"import os, sys; os.execv({str(LAUNCHER)!r}, ['ebtop', *sys.argv[1:]])"
    dashboard(*WAYS[way], starts)


@pytest.mark.skipif(bool(why_no_sudo()), reason=why_no_sudo())
@pytest.mark.parametrize("kind", ["sudo", "shell_of_sudo", "su"])
def test_nobody_gets_in_where_sudo_or_su_started_it(kind: str) -> None:
    with ways() as found:
        words = getattr(found, kind)(*command("-d", "0.3"))
        user = NOBODY if kind == "su" else CALLER
        dashboard({}, user, f"import os; words = {words!r}; os.execvp(words[0], words)")


def test_a_user_with_capabilities_is_not_looked_into_by_one_without() -> None:
    """Of /proc alone nothing is kept, and what was opened with them is left."""
    given = "+bpf,+perfmon,+sys_admin,+dac_read_search,+dac_override"
    before = ("setpriv", f"--reuid={UID}", f"--regid={GID}", "--clear-groups",
              f"--inh-caps={given}", f"--ambient-caps={given}")  # fmt: skip
    null = subprocess.DEVNULL
    for source in ("bpf", "proc"):
        with attackers(CALLER) as tries:
            words = command("--json", "-n", "2", "-d", "0.2", "--source", source)
            subprocess.run([*before, *words], stdin=null, stdout=null, stderr=null, check=False)
        names = {name for met in tries.met.values() for name in met}
        assert any(name.startswith("python") for name in names)
        assert not tries.into_ebtop(ending=source == "proc"), source
