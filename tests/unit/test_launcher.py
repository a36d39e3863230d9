# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The installed script: whatever the environment holds, no code comes from there; and the
environment comes through as it was."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import pytest

ROOT = Path(__file__).resolve().parents[2]
VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"
_NAME = re.compile(rb"(?:ENV_)?(_*[A-Z][A-Z0-9_]{2,40})")
_AT_ONCE = 5000
_SHELL_WORDS = ("[", "test", "echo", "read", "printf", "eval", "exec", "set", "unset",
                "exit", "command")  # fmt: skip
OF_SHELLS = {
    "ENV": "{}/evil.sh", "BASH_ENV": "{}/evil.sh", "SHELLOPTS": "xtrace", "PS4": "$(. {}/evil.sh)",
    **{f"BASH_FUNC_{word}%%": "() {{ . {}/evil.sh; }}" for word in _SHELL_WORDS},
}  # fmt: skip
PACKAGE = """
import json, os, sys
from ebtop.runtime.environment import given
strings = given()
said = {"argv": sys.argv[1:], "names": sorted(os.environ), "flags": sys.flags.isolated,
        "executable": sys.executable, "values": dict(os.environ),
        "given": None if strings is None else [one.decode("latin-1") for one in strings]}
print(json.dumps(said))
"""


def interpreter() -> Path:
    """The program itself, not a virtual environment's link to it."""
    return Path(os.path.realpath(sys.executable))


def shells() -> list[str]:
    found = ["/bin/sh", *filter(None, map(shutil.which, ("bash", "busybox")))]
    return [shell for shell in found if os.access(shell, os.X_OK)]


Start = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(params=shells())
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    """Starts the script as that shell runs it, beside a virtual environment's Python with a
    package `ebtop` that tells what it sees."""
    home = tmp_path / "in=stalled here"
    site = home / "lib" / VERSION / "site-packages" / "ebtop"
    site.mkdir(parents=True)
    (home / "bin").mkdir()
    (home / "pyvenv.cfg").write_text(f"home = {interpreter().parent}\n")
    (home / "bin" / "python3").symlink_to(interpreter())
    (site / "__init__.py").touch()
    (site / "__main__.py").write_text(PACKAGE)
    (site / "runtime").mkdir()
    shutil.copy(ROOT / "ebtop" / "runtime" / "environment.py", site / "runtime")
    shell = tmp_path / "sh"
    shell.symlink_to(request.param)
    text = (ROOT / "ebtop" / "launcher.sh").read_text("ascii")
    assert text.startswith("#!/bin/sh\n")
    script = home / "bin" / "ebtop"
    script.write_text(f"#!{shell}\n" + text.partition("\n")[2])
    script.chmod(0o755)

    def run(
        environment: dict[Any, Any], *words: str, before: tuple[str, ...] = (), **options: Any
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*before, script, *words],
            env=environment,
            cwd="/",
            capture_output=True,
            timeout=60,
            check=False,
            **options,
        )

    return run


def tell(done: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


# ---- code ----


class Bait:
    """Folders and programs that leave a mark when code of theirs runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mark = folder / "mark"
        code = f"import posix; posix.close(posix.open({str(self._mark)!r}, {os.O_CREAT}, 0o600))\n"
        shell = f": >'{self._mark}'\n"
        site = folder / "lib" / VERSION / "site-packages"
        for inside in (folder, site.parent, site):
            inside.mkdir(parents=True, exist_ok=True)
            for module in ("sitecustomize", "usercustomize", "site", "os", "ebtop", "evil"):
                (inside / f"{module}.py").write_text(code)
            (inside / "evil.pth").write_text(code.replace("\n", ";\n"))
            (inside / "encodings").mkdir(exist_ok=True)
            (inside / "encodings" / "__init__.py").write_text(code)
        (folder / "bin").mkdir()
        (folder / "pyvenv.cfg").write_text(f"home = {interpreter().parent}\n")
        for program in ("python3", "python", "env", "readlink", "base64", "sh"):
            (folder / "bin" / program).write_text(f"#!/bin/sh\n{shell}")
            (folder / "bin" / program).chmod(0o755)
        (folder / "evil.sh").write_text(shell)

    def values(self) -> list[str]:
        inside = str(self.folder)
        return [inside, f"{inside}/bin/python3", f"{inside}/evil.py", "evil", f"{inside}/bin"]

    def taken(self) -> bool:
        """Whether somebody has, since the last call."""
        found = self._mark.exists()
        self._mark.unlink(missing_ok=True)
        return found


@pytest.fixture
def bait(tmp_path: Path) -> Bait:
    return Bait(tmp_path / "bait")


def known_names() -> list[str]:
    """What looks like the name of a variable in the interpreter and what belongs to it."""
    shared = Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib").glob(f"lib{VERSION}*.so*")
    names: set[bytes] = set()
    for path in {interpreter(), *shared}:
        data = path.read_bytes()
        # the second as wide characters are
        for text in (data, data.replace(b"\0\0\0", b"")):
            names.update(_NAME.findall(text))
    assert {b"PYTHONPATH", b"PYTHONHOME"} <= names, "no variable of Python's was found"
    return sorted(name.decode() for name in names)


def test_the_bait_is_taken_where_nobody_minds(bait: Bait) -> None:
    for environment in ({"PYTHONPATH": str(bait.folder)}, {"PYTHONHOME": str(bait.folder)}):
        subprocess.run([interpreter(), "-c", ""], env=environment, capture_output=True, check=False)
        assert bait.taken(), environment
    subprocess.run(["bash", "-c", ":"], env={"BASH_ENV": f"{bait.folder}/evil.sh"}, check=True)
    assert bait.taken()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="this Python does not honour it")
def test_isolation_alone_lets_a_variable_put_code_into_python(bait: Bait) -> None:
    for name in ("PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__"):
        environment = {name: f"{bait.folder}/bin/python3"}
        subprocess.run([interpreter(), "-I", "-c", ""], env=environment, check=False)
        if bait.taken():
            return
    pytest.fail("the hole that the script closes is no longer there")


@pytest.mark.parametrize("start", ["/bin/sh"], indirect=True)
def test_no_variable_that_python_knows_puts_code_into_it(start: Start, bait: Bait) -> None:
    names = known_names()
    alone = [name for name in names if name.startswith(("PYTHON", "__"))]
    assert "PYTHONEXECUTABLE" in alone or sys.version_info < (3, 11)
    sets = [{name: bait.values()[1]} for name in alone]
    # there are thousands that look like one
    for begin in range(0, len(names), _AT_ONCE):
        part = names[begin : begin + _AT_ONCE]
        sets += [dict.fromkeys(part, value) for value in bait.values()[:2]]
    for environment in sets:
        said = tell(start(environment, "x"))
        assert not bait.taken(), environment.keys()
        assert said["flags"] == 1 and not said["executable"].startswith(str(bait.folder))


def test_no_variable_of_shells_puts_code_into_the_script(start: Start, bait: Bait) -> None:
    environment = {name: value.format(bait.folder) for name, value in OF_SHELLS.items()}
    for path in (None, f"{bait.folder}/bin"):
        also = {} if path is None else {"PATH": path}
        tell(start({**environment, **also}, "x"))
        assert not bait.taken()


def test_python_sees_only_what_ebtop_looks_at(start: Start) -> None:
    kept = {
        "TERM": "xterm-256color", "NO_COLOR": "1", "COLUMNS": "80", "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8", "SUDO_UID": "1000", "SUDO_GID": "0", "SUDO_COMMAND": "/bin/x a\n $(b)",
        "PKEXEC_UID": "", "TZ": "Europe/Paris",
    }  # fmt: skip
    others = (
        "HOME", "PATH", "TERMINFO", "LD_LIBRARY_PATH", "EBTOP_FAIL", "EBTOP_THREADS_MAX",
        "EBTOP_GIVEN", "EBTOP_GIVEN_0", "EBTOP_GIVEN_IGNORED", "LANGUAGE", "odd name",
    )  # fmt: skip
    said = tell(start({**kept, **dict.fromkeys(others, "/none")}, "x"))
    for name, value in kept.items():
        assert said["values"][name] == value
    assert not [name for name in said["names"] if name in others and not name.startswith("EBTOP_G")]
    data = {"EBTOP_GIVEN", "EBTOP_GIVEN_0", "EBTOP_GIVEN_IGNORED"}
    assert "/none" not in [said["values"][name] for name in data]
    # bash makes the others up
    assert set(said["names"]) - kept.keys() <= data | {"PWD", "SHLVL", "_"}


@pytest.mark.parametrize("numbers", [set(), {13}, {25}, {13, 25}])
def test_what_python_ignores_by_itself_is_told_apart(start: Start, numbers: set[int]) -> None:
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (13, 25)}
    try:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        done = start({}, "x", restore_signals=False)
        mask = int(tell(done)["values"]["EBTOP_GIVEN_IGNORED"], 16)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert {number for number in (13, 25) if mask >> number - 1 & 1} == numbers


@pytest.mark.skipif(not shutil.which("strace"), reason="there is no strace")
def test_no_value_is_a_word_of_a_command_where_all_could_read_it(
    start: Start, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    strace = (
        str(shutil.which("strace")),
        "-f",
        "-s",
        "1000000",
        "-e",
        "trace=execve",
        "-o",
        str(trace),
    )
    secret = "kept-from-others" * 20
    said = tell(start({"SECRET": secret, "PATH": "/usr/bin:/bin", "A": "b"}, before=strace))
    assert f"SECRET={secret}" in said["given"]
    words = trace.read_text()
    assert '"SECRET"' in words and "execve" in words
    assert "kept-from" not in words and "EBTOP_GIVEN" not in words
    pieces = [base64.b64encode(b"x" * pad + secret.encode())[8:60].decode() for pad in range(3)]
    assert not [piece for piece in pieces if piece in words]


# ---- the environment as data ----


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 120_000])
def test_the_environment_comes_through_byte_for_byte(start: Start, size: int) -> None:
    environment = {
        b"PATH": b"/usr/bin:/bin", b"odd name": b"1", b"a.b": b"x=y=\n\t", b"EMPTY": b"",
        b"1": b"$(id) `id` '\"\\", b"not\xffutf\x81": b"\xc3\x28 \x81\x82\x88\xff", b"SHLVL": b"5",
        b"BIG": b"x" * size, b"BIG2": b"y" * size, b"EBTOP_GIVEN": b"7", b"_": b"/x", b"*": b"*",
    }  # fmt: skip
    strings = [(name + b"=" + value).decode("latin-1") for name, value in environment.items()]
    words = ("run", "--", "a b", "", "*", "-e", "\n", "A=b")
    said = tell(start(environment, *words))
    assert said["given"] == strings and said["argv"] == list(words)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take /proc away")
def test_without_proc_it_is_what_the_shell_makes_of_it(start: Start) -> None:
    environment = {"A": "b c\n", "PATH": "/usr/bin:/bin", "PYTHONHOME": "/none"}
    away = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh")
    said = tell(start(environment, "x", before=away))
    assert {f"{name}={value}" for name, value in environment.items()} <= set(said["given"])
    assert "PYTHONHOME" not in said["names"] and "A" not in said["names"]


def test_an_empty_environment_is_known_to_be_empty(start: Start) -> None:
    assert tell(start({}))["given"] == []


def given_by(variables: dict[str, str]) -> Optional[list[str]]:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r});"
    code += "from ebtop.runtime.environment import given;"
    code += "import json; print(json.dumps(given() and [one.decode('latin-1') for one in given()]))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], env=variables, capture_output=True, check=True
    )
    found: Optional[list[str]] = json.loads(done.stdout)
    return found


def test_without_the_launcher_it_is_our_own() -> None:
    found = given_by({"A": "1", "odd name": "2"})
    assert found is not None and found[:2] == ["A=1", "odd name=2"]


@pytest.mark.parametrize(
    "variables",
    [
        {"EBTOP_GIVEN": ""},
        {"EBTOP_GIVEN": "x"},
        {"EBTOP_GIVEN": "2", "EBTOP_GIVEN_0": "QT0xAA=="},
        {"EBTOP_GIVEN": "1", "EBTOP_GIVEN_0": "A"},
    ],
)
def test_an_environment_that_was_not_handed_over_is_unknown(variables: dict[str, str]) -> None:
    assert given_by(variables) is None
