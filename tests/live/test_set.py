# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""`ebtop set` looks for a map among the files of strangers: it takes nothing else of theirs in
hand, and says who may set an ebtop, and what it takes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from running import command, ebtop, said

UID = 4711
NAMES = ("bpf-map", "anon_inode:bpf-map", "x anon_inode:bpf-map", "anon_inode:bpf-map x")
STRANGER = """
import ctypes, os, sys
folder, names = sys.argv[1], sys.argv[2:]
os.chdir(folder)
for name in names:
    os.open(name, os.O_CREAT | os.O_RDWR, 0o600)
    os.unlink(name)
    os.memfd_create(name)
    os.mkfifo(name)
    os.open(name, os.O_RDWR)
print("done", flush=True)
sys.stdin.read()
"""
# an array of one value of that size and name: __NR_bpf is 321 on x86-64, 280 on arm64
MAPS = """
import ctypes, os, platform, struct, sys
number = {"x86_64": 321, "aarch64": 280}[platform.machine()]
for size, entries, kind in ((8, 1, 2), (int(sys.argv[1]), 2, 2), (int(sys.argv[1]), 1, 1)):
    attributes = struct.pack("IIIIIII16s", kind, 4, size, entries, 0, 0, 0, b"ebtop_config")
    held = ctypes.CDLL(None, use_errno=True).syscall(number, 0, attributes, len(attributes))
    assert held >= 0, os.strerror(ctypes.get_errno())
print("done", flush=True)
sys.stdin.read()
"""


@contextmanager
def process(code: str, *arguments: str, before: tuple[str, ...] = ()) -> Iterator[int]:
    pipe = subprocess.PIPE
    words = [*before, "/usr/bin/python3", "-I", "-S", "-c", code, *arguments]
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as one:
        assert one.stdout is not None and one.stdout.readline() == "done\n"
        yield one.pid
        one.communicate("", timeout=60)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where that user may make files."""
    path = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    os.chown(path, UID, UID)
    yield path
    shutil.rmtree(path)


@pytest.mark.skipif(not shutil.which("strace"), reason="there is no strace")
def test_no_file_of_a_stranger_is_borrowed(folder: Path) -> None:
    trace = folder / "trace"
    before = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups")
    with process(STRANGER, str(folder), *NAMES, before=before) as pid:
        words = command("set", "none", "--instance", str(pid))
        strace = ["strace", "-f", "-o", str(trace), "-e", "trace=pidfd_open,pidfd_getfd"]
        done = subprocess.run([*strace, *words], capture_output=True, timeout=60, check=False)
    assert done.returncode == 2 and said(done).endswith("is no running ebtop with BPF")
    calls = trace.read_text()
    assert f"pidfd_open({pid}" in calls and "pidfd_getfd" not in calls


def test_a_map_of_that_name_and_another_shape_is_no_ebtop() -> None:
    from ebtop._core import ffi

    with process(MAPS, str(ffi.sizeof("struct ebtop_config"))) as pid:
        done = ebtop("set", "none", "--instance", str(pid))
        assert done.returncode == 2 and said(done).endswith("is no running ebtop with BPF")


def started(*before: str) -> subprocess.CompletedProcess[bytes]:
    """`set` with whatever comes before it, while an ebtop runs."""
    with subprocess.Popen(command("exec"), stdout=subprocess.DEVNULL) as other:
        try:
            end = subprocess.run(
                ["timeout", "60", "sh", "-c",
                 'until grep -q "NoNewPrivs:.1" /proc/$1/status; do sleep 0.05; done',
                 "sh", str(other.pid)], check=True,
            )  # fmt: skip
            assert end.returncode == 0
            words = command("set", "none", "--instance", str(other.pid))
            return subprocess.run([*before, *words], capture_output=True, timeout=60, check=False)
        finally:
            other.terminate()


def test_root_sets_it() -> None:
    done = started()
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_root_without_the_capability_hears_which() -> None:
    done = started("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace")
    assert done.returncode == 77
    assert said(done).endswith("takes CAP_SYS_PTRACE, which root lacks here")


@pytest.mark.parametrize("uid", [UID, 65534])
def test_its_own_user_hears_that_root_can(uid: int) -> None:
    done = started("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups")
    assert done.returncode == 77
    assert "takes CAP_SYS_PTRACE; try: sudo " in said(done)


def test_nobody_is_told_that_none_runs_when_it_cannot_be_known() -> None:
    before = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups")
    for words in (before, ("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace")):
        done = subprocess.run(
            [*words, *command("set", "none")], capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 77 and "CAP_SYS_PTRACE" in said(done)


def test_help_says_who_may() -> None:
    assert b"CAP_SYS_PTRACE" in ebtop("set", "--help").stdout
