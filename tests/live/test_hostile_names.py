# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the proof on the real kernel that hostile names of live processes disturb no output."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import hostile
import pytest

EBTOP = str(Path(sys.executable).with_name("ebtop"))
COMM_BYTES = 15

# Each child takes one name as its comm and, where it can be, as an argument; then all sleep.
_CHILDREN = """
import os, sys
def run(name):
    with open("/proc/self/comm", "wb", buffering=0) as comm:
        comm.write(name[:15])
    sys.stdout.buffer.write(b"%d\\n" % os.getpid())
    sys.stdout.buffer.flush()
    sys.stdin.buffer.read()
    os._exit(0)
names = [bytes.fromhex(word) for word in sys.argv[1:]]
for name in names:
    if os.fork() == 0:
        run(name)
sys.stdin.buffer.read()
"""


@pytest.fixture(scope="module")
def named() -> Iterator[dict[int, bytes]]:
    """pid -> the name given, of live processes; they end when their standard input does."""
    names = [name for name in dict.fromkeys(n[:COMM_BYTES] for n in hostile.names()) if name]
    words = [name.hex() for name in names]
    parent = subprocess.Popen(
        [sys.executable, "-c", _CHILDREN, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None and parent.stdin is not None
    pids = [int(parent.stdout.readline()) for _ in names]
    given = {pid: Path(f"/proc/{pid}/comm").read_bytes()[:-1] for pid in pids}
    try:
        yield given
    finally:
        parent.stdin.close()
        parent.wait(timeout=10)
        parent.stdout.close()


def output(*arguments: str) -> bytes:
    done = subprocess.run([EBTOP, *arguments], capture_output=True, timeout=30, check=True)
    return done.stdout


def is_clean(text: str) -> bool:
    bad = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    return all(char == "\n" or unicodedata.category(char) not in bad for char in text)


@pytest.mark.parametrize("source", ["bpf", "proc"])
def test_json_has_each_of_them_unharmed(named: dict[int, bytes], source: str) -> None:
    assert len(set(named.values())) >= 250  # of the corpus, what is left in fifteen bytes
    text = output("--json", "-n", "1", "-d", "0.2", "--source", source).decode("ascii")
    assert text.count("\n") == 1 and "\x7f" not in text
    found = {row["pid"]: row["comm"] for row in json.loads(text)["processes"]}
    for pid, comm in named.items():
        assert found[pid] == comm.decode("utf-8", "backslashreplace")


@pytest.mark.parametrize("source", ["bpf", "proc"])
@pytest.mark.parametrize("ascii", [False, True])
def test_text_has_a_line_each_and_no_control(
    named: dict[int, bytes], source: str, ascii: bool
) -> None:
    arguments = ["-b", "-n", "1", "-d", "0.2", "--source", source]
    text = output(*arguments, *(["--ascii"] if ascii else [])).decode("utf-8")
    assert is_clean(text) and (text.isascii() or not ascii)
    first = [words[0] for words in (row.split() for row in text.split("\n")) if words]
    for pid in named:
        assert first.count(str(pid)) == 1


def test_frame_has_exactly_its_lines(named: dict[int, bytes]) -> None:
    pids_wanted = ",".join(map(str, named))
    text = output("--once", "--size", "120x500", "--sort", "cmd", "-p", pids_wanted).decode("utf-8")
    assert is_clean(text) and text.count("\n") == 500
    pids = "\n".join(row[:9] for row in text.split("\n"))
    assert sum(f" {pid} " in pids.replace("\n", " ") + " " for pid in named) > 200
