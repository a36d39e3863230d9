# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Events as lines: the promised keys, readable text, and no name that makes a line of its own."""

from __future__ import annotations

import json
import os
import time

import hostile
import pytest
import synthetic

from ebtop.model.layout import (
    EVENT_TYPES,
    PATH_CUT,
    PATH_REMOVED,
    SIGNAL_IGNORED,
    TEXT_CUT,
    TEXT_UNREAD,
)
from ebtop.outputs.eventlines import (
    arguments,
    error_name,
    json_event,
    json_lost,
    signal_name,
    text_event,
    text_lost,
)

MS = 1_000_000
TIME_NS = 1_700_000_000 * 10**9 + 123_456_789
HEAD = ["type", "time", "monotonic_ns", "pid", "tid", "uid", "comm", "thread_comm"]


def opened(name: bytes, **values: object) -> tuple[dict[str, object], bytes]:
    given = {"text": 3, "text_bytes": len(name), "ppid": 0, "open_flags": 0o2000000, **values}
    return row("open", 1234, b"bash", **given), b"abc" + name + b"xyz"


def row(kind: str, pid: int, comm: bytes, **values: object) -> dict[str, object]:
    return synthetic.events([synthetic.event(kind, pid, comm, **values)]).row(0)


def executed(args: bytes, name: bytes = b"/bin/x", **values: object):
    given = {"text_bytes": len(args), "name": len(args), "name_bytes": len(name), **values}
    return row("exec", 7, b"x", **given), args + name


def as_json(event: tuple[dict[str, object], bytes]) -> dict[str, object]:
    line = json_event(*event, TIME_NS)
    assert line.endswith("\n") and line[:-1].isascii() and line[:-1].isprintable()
    return json.loads(line)


def as_text(event: tuple[dict[str, object], bytes], ascii: bool = False) -> str:
    line = text_event(*event, TIME_NS, ascii)
    assert line.endswith("\n") and line[:-1].isprintable()
    return line[:-1]


def test_an_open_has_the_promised_keys_in_order():
    got = as_json(opened(b"/etc/hostname", result=3))
    assert list(got) == [*HEAD, "filename", "flags", "result", "error", "dirfd", "relative_to"]
    assert got["time"] == "2023-11-14T22:13:20.123456Z"
    assert (got["filename"], got["flags"], got["result"], got["error"]) == (
        "/etc/hostname", 0o2000000, 3, None,
    )  # fmt: skip


def test_an_open_reads_like_a_sentence():
    clock = time.strftime("%H:%M:%S", time.localtime(1_700_000_000))
    head = f"[{clock}.123] PID 1234 (bash) UID 1000 opened: "
    assert as_text(opened(b"/etc/hostname", result=3)) == f"{head}/etc/hostname = 3"
    assert as_text(opened(b"nothing", result=-2)) == f"{head}nothing (in fd 0) = -1 ENOENT"
    assert as_text(opened(b"x", dirfd=-100)) == f"{head}x (in cwd) = 0"


def test_names_that_are_cut_or_unread_say_so():
    cut = opened(b"x" * 4095, marks=TEXT_CUT)
    assert as_json(cut)["filename_cut"] is True
    assert as_text(cut).endswith("xx... (in fd 0) = 0")
    unread = opened(b"", marks=TEXT_UNREAD, result=-14)
    assert as_json(unread)["filename"] is None
    assert as_text(unread).endswith("opened: ? = -1 EFAULT")
    assert as_json(opened(b"", result=-2))["filename"] == ""


def within(path: bytes, **values: object) -> tuple[dict[str, object], bytes]:
    event, text = opened(b"x", **values)
    return {**event, "name": len(text), "name_bytes": len(path)}, text + path


def test_a_relative_name_says_what_it_is_relative_to():
    def said(event: tuple[dict[str, object], bytes]) -> list[object]:
        return list(as_json(event).values())[len(HEAD) + 4 :]

    assert said(opened(b"x", dirfd=-100)) == said(opened(b"", dirfd=-100)) == [None, "cwd"]
    assert said(opened(b"x", dirfd=5)) == [5, None]
    assert said(opened(b"x", dirfd=-1, result=-9)) == [-1, None]
    assert said(opened(b"/x", dirfd=5)) == said(opened(b"/x", dirfd=-100)) == [None, None]
    assert said(opened(b"", dirfd=5, marks=TEXT_UNREAD)) == [None, None]
    assert said(within(b"/a", dirfd=5)) == [5, "/a"]
    assert said(within(b"/a", dirfd=-100)) == [None, "/a"]
    assert as_json(within(b"/a", marks=PATH_CUT))["relative_to_cut"] is True
    assert as_json(within(b"/a", marks=PATH_REMOVED))["relative_to_removed"] is True
    assert as_text(within(b"/a\nb", dirfd=-100)).endswith(" x (in /a\\x0ab) = 0")
    assert as_text(within(b"/a", marks=PATH_REMOVED)).endswith(" x (in /a, removed) = 0")


def test_an_exec_has_its_path_and_its_arguments_one_by_one():
    got = as_json(executed(b"ls\0-l\0a b\0\0"))
    assert list(got) == [*HEAD, "ppid", "filename", "args", "file", "error"]
    assert got["file"] is got["error"] is None
    assert (got["filename"], got["args"]) == ("/bin/x", ["ls", "-l", "a b", ""])
    assert as_text(executed(b"ls\0-l\0")).endswith("UID 1000 started: ls -l")


def failed(**values: object) -> tuple[dict[str, object], bytes]:
    event, text = executed(b"ls\0", **values)
    return {**event, "type": EVENT_TYPES.index("exec_failed"), "result": -2}, text


def test_an_exec_that_failed_is_one_with_its_error():
    got = as_json(failed())
    assert (got["type"], got["error"], got["filename"]) == ("exec", "ENOENT", "/bin/x")
    assert as_text(failed()).endswith("UID 1000 could not start: /bin/x = -1 ENOENT")


def test_a_program_behind_a_descriptor_is_named():
    name, file = b"/dev/fd/3", b"memfd:a\nb"
    event, text = executed(b"x\0", name)
    event = {**event, "file": len(text), "file_bytes": len(file)}
    assert as_json((event, text + file))["file"] == "memfd:a\nb"
    assert as_text((event, text + file)).endswith("started: x (memfd:a\\x0ab)")


def test_an_exec_without_what_cannot_be_read_says_null():
    got = as_json(executed(b"", b""))
    assert (got["filename"], got["args"]) == (None, None)
    assert as_text(executed(b"", b"")).endswith("started: [x]")


def test_cut_arguments_say_so():
    cut = executed(b"ls\0" + b"y" * 20, marks=TEXT_CUT)
    assert as_json(cut)["args_cut"] is True
    assert as_text(cut).endswith("yyy...")


def ended(code: int, **values: object) -> tuple[dict[str, object], bytes]:
    given = {"exit_code": code, "duration_ns": 1200_000, "oncpu_ns": 900_000, **values}
    return row("exit", 9, b"x", **given), b""


def test_an_exit_has_its_code_and_its_times():
    got = as_json(ended(3 << 8))
    assert list(got) == [*HEAD, "ppid", "exit_code", "signal", "duration_ns", "oncpu_ns"]
    assert (got["exit_code"], got["signal"], got["oncpu_ns"]) == (3, None, 900_000)
    assert as_text(ended(3 << 8)).endswith("exited: 3 after 1.2ms, on CPU 900us")


def test_a_death_by_signal_is_named():
    assert (as_json(ended(9))["exit_code"], as_json(ended(9))["signal"]) == (137, "SIGKILL")
    assert "killed: SIGKILL after" in as_text(ended(9))
    assert "killed: SIGSEGV (core dumped) after" in as_text(ended(11 | 0x80))
    assert [signal_name(n) for n in (1, 32, 34, 37, 64)] == [
        "SIGHUP", "SIG32", "SIGRTMIN", "SIGRTMIN+3", "SIGRTMAX",
    ]  # fmt: skip


def test_an_unknown_time_on_the_cpu_is_not_zero():
    assert as_json(ended(0, oncpu_ns=-1))["oncpu_ns"] is None
    assert as_text(ended(0, oncpu_ns=-1)).endswith("on CPU -")
    assert as_json(ended(0, oncpu_ns=0))["oncpu_ns"] == 0


@pytest.mark.parametrize("kind, allocated, freed, call, change, words", [
    (0xA0, 8192, 0, "mmap", 8192, "mmap: 8192 bytes at 0x7f00\n"),
    (0xE0, 8192, 4096, "mmap", 8192, "mmap: 8192 bytes at 0x7f00 over 4096 that were mapped\n"),
    (0xB0, 0, 4096, "munmap", 4096, "munmap: 4096 bytes at 0x7f00\n"),
    (0xC0, 0, 4096, "mremap", -4096, "mremap: -4096 bytes at 0x7f00\n"),
    (0xC0, 12288, 0, "mremap", 12288, "mremap: 12288 bytes at 0x7f00\n"),
    (0xD0, 0, 4096, "brk", -4096, "brk: -4096 bytes at 0x7f00\n"),
    (0xD0, 0, 0, "brk", 0, "brk: 0 bytes at 0x7f00\n"),
    (0x10, 0, 0, None, 0, "?: 0 bytes at 0x7f00\n"),
])  # fmt: skip
def test_a_change_of_memory_has_its_call_and_its_bytes(kind, allocated, freed, call, change, words):
    event = row("mem", 7, b"x", open_flags=kind, address=0x7F00, allocated_bytes=allocated,
                freed_bytes=freed)  # fmt: skip
    told = as_json((event, b""))
    assert list(told) == [*HEAD, "call", "bytes", "address", "allocated_bytes", "freed_bytes"]
    assert (told["call"], told["bytes"], told["address"]) == (call, change, 0x7F00)
    assert text_event(event, b"", TIME_NS, True).endswith("UID 1000 " + words)


def test_errors_have_their_names():
    assert [error_name(code) for code in (0, 3, -2, -13, -4095)] == [
        None, None, "ENOENT", "EACCES", "E4095",
    ]  # fmt: skip


def test_losses_are_lines_too():
    assert json.loads(json_lost("ring_buffer", 7)) == {
        "type": "lost", "count": 7, "cause": "ring_buffer",
    }  # fmt: skip
    assert text_lost("ring_buffer", 7) == "[lost] 7 events: the buffer was full\n"


@pytest.mark.parametrize("ascii", [False, True])
def test_hostile_names_stay_in_their_line(ascii):
    for name in hostile.names():
        name = name.replace(b"\0", b"")
        got = as_json(opened(name))
        assert got["filename"] == name.decode("utf-8", "backslashreplace")
        line = as_text(opened(name), ascii)
        assert line.isascii() or not ascii
        as_text((row("exec", 1, name[:16], text_bytes=len(name)), name), ascii)
        as_json((row("exec", 1, name[:16], text_bytes=len(name)), name))


def test_random_bytes_stay_in_their_line():
    for size in range(300):
        raw = os.urandom(size)
        as_json(opened(raw))
        as_text(opened(raw))
        assert b"\0".join(arguments(raw)) == (raw[:-1] if raw.endswith(b"\0") else raw)


def signalled(pid: int, target: bytes = b"nginx", **values: object):
    given = {"result": 9, "target": 77, "text_bytes": len(target), **values}
    return row("signal", pid, b"bash" if pid else b"", **given), target


def test_a_signal_names_both_its_ends() -> None:
    event = as_json(signalled(1234))
    assert list(event)[: len(HEAD)] == HEAD
    assert [event[key] for key in ("pid", "comm", "signal", "number", "target_pid")] == [
        1234, "bash", "SIGKILL", 9, 77,
    ]  # fmt: skip
    assert (event["target_comm"], event["ignored"]) == ("nginx", False)
    assert "PID 1234 (bash) UID 1000 sent: SIGKILL to 77 (nginx)" in as_text(signalled(1234))


def test_a_signal_of_the_kernel_has_no_sender() -> None:
    event = as_json(signalled(0, result=11, marks=SIGNAL_IGNORED))
    assert [event[key] for key in ("pid", "tid", "uid", "comm")] == [None] * 4
    assert (event["signal"], event["ignored"]) == ("SIGSEGV", True)
    line = as_text(signalled(0, result=11, marks=SIGNAL_IGNORED))
    assert line.endswith(" kernel sent: SIGSEGV to 77 (nginx) (ignored)")


def killed(victim: bytes, **values: object):
    given = {"target": 78, "result": 3 << 30, "address": 5, "text_bytes": len(victim), **values}
    return row("oom", 12, b"java", **given), victim


def test_a_victim_of_the_oom_killer_has_what_it_held() -> None:
    event = as_json(killed(b"java"))
    assert event["victim_pid"] == 78 and event["victim_comm"] == "java"
    assert (event["rss_bytes"], event["cgroup_id"]) == (3 << 30, 5)
    assert "out of memory: killed 78 (java), which held 3.0G" in as_text(killed(b"java"))


def test_what_the_kernel_does_not_tell_of_a_victim_is_unknown() -> None:
    event = as_json(killed(b"", result=-1, address=0))
    assert [event[key] for key in ("victim_comm", "cgroup_id", "rss_bytes")] == [None] * 3
    assert "killed 78 (-), which held -" in as_text(killed(b"", result=-1, address=0))
