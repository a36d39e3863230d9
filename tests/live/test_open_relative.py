# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the sentences that must hold of opens of relative names: it is said what to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Optional

import pytest
from following import Event, Follower

OPENER = """
import ctypes, os, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
base = sys.argv[1]
sys.stdout.write("ready\\n"); sys.stdout.flush()
def attempt(name, *args, **options):
    try:
        return os.open(name, os.O_RDONLY, *args, **options)
    except OSError:
        return -1
while sys.stdin.buffer.raw.read(1) == b"m":
    attempt("/mark")
folder = os.open(base + "/folder", os.O_RDONLY)
root = os.open("/", os.O_RDONLY)
assert attempt("t-fd", dir_fd=folder) >= 0
assert attempt("t-fd-missing", dir_fd=folder) == -1
assert attempt(base + "/t-absolute", dir_fd=folder) >= 0
assert attempt("t-bad", dir_fd=1000) == -1
assert attempt("t-root", dir_fd=root) == -1
os.chdir(base)
assert attempt("t-cwd") >= 0
os.chdir(base + "/folder")
assert attempt("t-moved") == -1
assert attempt("") == -1
thread = threading.Thread(target=lambda: attempt("t-thread", dir_fd=folder))
thread.start(); thread.join()
how = (ctypes.c_uint64 * 3)(os.O_RDONLY, 0, 0)
libc.syscall(437, folder, b"t-openat2", how, 24)
libc.syscall(437, -100, b"t-openat2-cwd", how, 24)
os.chdir(base + "/" + "/".join(["deep"] * 14))
assert attempt("t-deep") == -1
os.mkdir(base + "/gone"); os.chdir(base + "/gone"); os.rmdir(base + "/gone")
assert attempt("t-gone") == -1
os.chdir("/")
assert attempt("t-slash") == -1
print(folder, root, flush=True)
sys.stdin.buffer.raw.read(1)
"""


class Opened:
    """What the program that opens these did, and what was said of it."""

    def __init__(self, base: Path, *words: str) -> None:
        (base / "folder").mkdir()
        base.joinpath(*["deep"] * 14).mkdir(parents=True)
        for name in ("folder/t-fd", "folder/t-openat2", "folder/t-thread", "t-cwd", "t-absolute"):
            (base / name).touch()
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", OPENER, str(base)]
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe)
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None and stdout is not None

        def tell(word: bytes) -> None:
            stdin.write(word)
            stdin.flush()

        try:
            assert stdout.readline() == b"ready\n"
            with Follower(lambda: tell(b"m"), "open", "-p", str(process.pid), *words) as follower:
                tell(b"g")
                self.folder, self.root = map(int, stdout.readline().split())
                follower.until(lambda data: b"t-slash" in data)
                follower.process.terminate()
                rest, _ = follower.process.communicate(timeout=30)
                self.data = follower.data + rest
        finally:
            process.kill()
            process.communicate()

    def event(self, name: str) -> Event:
        events = [json.loads(line) for line in self.data.splitlines()]
        (event,) = (event for event in events if event["filename"] == name)
        return event

    def line(self, name: str) -> str:
        lines = self.data.decode().splitlines()
        (line,) = (line for line in lines if f"opened: {name} " in line)
        return line.partition("opened: ")[2]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def said(event: Event) -> tuple[Optional[int], Any]:
    return event["dirfd"], event["relative_to"]


def test_relative_names_say_which_descriptor_or_that_it_is_the_cwd(base: Path) -> None:
    opened = Opened(base, "--json")
    for name in ("t-fd", "t-fd-missing", "t-thread", "t-openat2"):
        assert said(opened.event(name)) == (opened.folder, None), name
    assert said(opened.event("t-bad")) == (1000, None)
    assert said(opened.event("t-root")) == (opened.root, None)
    for name in ("t-cwd", "t-moved", "", "t-openat2-cwd", "t-deep", "t-gone", "t-slash"):
        assert said(opened.event(name)) == (None, "cwd"), name
    for name in (f"{base}/t-absolute", f"{base}/folder"):
        assert said(opened.event(name)) == (None, None), name
    assert opened.event("t-fd")["result"] >= 0 > opened.event("t-fd-missing")["result"]


def is_path(event: Event, path: str) -> bool:
    """Parts of 39 bytes and more are cut, and say so."""
    if event.get("relative_to_cut"):
        return "\N{HORIZONTAL ELLIPSIS}" in event["relative_to"]
    return bool(event["relative_to"] == path)


def test_with_full_paths_they_say_which_directory(base: Path) -> None:
    opened = Opened(base, "--json", "--full-path")
    folder = f"{base}/folder"
    for name in ("t-fd", "t-fd-missing", "t-thread", "t-openat2"):
        assert opened.event(name)["dirfd"] == opened.folder
        assert is_path(opened.event(name), folder), opened.event(name)
    for name in ("t-moved", "", "t-openat2-cwd"):
        assert opened.event(name)["dirfd"] is None
        assert is_path(opened.event(name), folder), opened.event(name)
    assert is_path(opened.event("t-cwd"), str(base))
    assert said(opened.event("t-bad")) == (1000, None)
    assert said(opened.event("t-root")) == (opened.root, "/")
    assert said(opened.event("t-slash")) == (None, "/")
    assert said(opened.event(f"{base}/t-absolute")) == (None, None)
    assert "relative_to_removed" not in opened.event("t-cwd")
    gone = opened.event("t-gone")
    assert gone["relative_to_removed"] is True and is_path(gone, f"{base}/gone")
    deep = opened.event("t-deep")
    assert deep["relative_to_cut"] is True
    assert deep["relative_to"] == "\N{HORIZONTAL ELLIPSIS}" + "/deep" * 12


def test_lines_say_it_after_the_name(base: Path) -> None:
    opened = Opened(base)
    assert opened.line("t-fd").startswith(f"t-fd (in fd {opened.folder}) = ")
    assert opened.line("t-bad") == "t-bad (in fd 1000) = -1 EBADF"
    assert opened.line("t-moved") == "t-moved (in cwd) = -1 ENOENT"
    assert opened.line(f"{base}/t-absolute").startswith(f"{base}/t-absolute = ")


def test_lines_with_full_paths_say_the_directory(base: Path) -> None:
    opened = Opened(base, "--full-path")
    assert opened.line("t-root") == "t-root (in /) = -1 ENOENT"
    assert opened.line("t-gone").endswith("/gone, removed) = -1 ENOENT")
    assert opened.line("t-bad") == "t-bad (in fd 1000) = -1 EBADF"
    assert opened.line("t-slash") == "t-slash (in /) = -1 ENOENT"
    assert os.path.basename(base)[:30] in opened.line("t-fd")
