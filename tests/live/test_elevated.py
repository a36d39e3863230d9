# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""An interpreter with privileges of its own (set-uid, setcap) is refused, whatever can be read."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import TREE, said

UID = 4711
BPF, PERFMON = 39, 38
_REVISION_2_EFFECTIVE = 0x02000001
_PATHS = [str(TREE), *(path for path in sys.path if path.endswith("-packages"))]
CODE = f"import sys; sys.path[:0] = {_PATHS!r}; from ebtop.cli import main; sys.exit(main())"
IN_VIEW = {
    "/proc": ':; exec "$@"',
    "no /proc": 'mount -t tmpfs none /proc && exec "$@"',
    "no auxv": 'mount --bind /dev/null /proc/self/auxv; exec "$@"',
}


@pytest.fixture
def interpreter() -> Iterator[Path]:
    """A copy of it that everybody may run."""
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    folder.chmod(0o755)
    copy = folder / "python"
    shutil.copy(os.path.realpath(sys.executable), copy)
    copy.chmod(0o755)
    yield copy
    shutil.rmtree(folder)


def run(interpreter: Path, view: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", IN_VIEW[view], "sh",
         "setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups",
         interpreter, "-I", "-c", CODE, "--json", "-n", "1", "-d", "0.1"],
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["capabilities", "set-uid", "set-gid", "unreadable capabilities"])
@pytest.mark.parametrize("view", IN_VIEW)
def test_an_interpreter_with_privileges_of_its_own_is_refused(
    interpreter: Path, view: str, kind: str
) -> None:
    if "capabilities" in kind:
        words = (_REVISION_2_EFFECTIVE, 0, 0, 1 << BPF - 32 | 1 << PERFMON - 32, 0)
        os.setxattr(interpreter, "security.capability", struct.pack("<IIIII", *words))
        interpreter.chmod(0o711 if kind.startswith("unreadable") else 0o755)
    else:
        os.chown(interpreter, 0, 0)
        interpreter.chmod(0o4755 if kind == "set-uid" else 0o2755)
    done = run(interpreter, view)
    assert (done.returncode, done.stdout) == (77, b"")
    assert said(done).startswith("ebtop: refuses to run with privileges")


@pytest.mark.parametrize("view", IN_VIEW)
def test_one_without_is_not(interpreter: Path, view: str) -> None:
    done = run(interpreter, view)
    assert b"refuses" not in done.stderr
    if view == "/proc":
        assert done.returncode == 0
