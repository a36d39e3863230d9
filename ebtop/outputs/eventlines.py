# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the formats of an event: a line of text for people, or a JSON object that has every key.

Which events are written is commands/streamlines.py's concern. Names are hostile: they come out as
text.py has them, so that no name can make a line of its own.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Optional

from ebtop import units
from ebtop.model.connection_table import (
    address,
    close_reason,
    counted,
    direction,
    duration_ns,
    is_closed,
    place,
    rtt_ns,
    state_name,
)
from ebtop.model.errornames import error_name
from ebtop.model.layout import (
    CONNECTION,
    EVENT_TYPES,
    PATH_CUT,
    PATH_REMOVED,
    SIGNAL_IGNORED,
    TEXT_CUT,
    TEXT_UNREAD,
)
from ebtop.model.process_table import exit_status
from ebtop.model.slowlines import json_slow, text_slow
from ebtop.model.syscallnames import BRK, MMAP, MMAP_OLD, MREMAP, MUNMAP
from ebtop.text import data_text, displayable

Row = dict[str, Any]
JsonOf = Callable[[Row, bytes], dict[str, Any]]
TextOf = Callable[[Row, bytes, bool], str]
_CORE_DUMPED = 0x80
_UNOWNED = ("tcp", "signal")
_TYPE_OF = {"exec_failed": "exec"}
"""Failed attempts have the type of the attempt; `error` tells them apart."""
_DESCRIPTORS = (b"/proc/", b"/dev/fd/")
"""Events that may have no process: a connection not yet used, a signal sent by the kernel."""
_CUT = "..."
_CWD = -100
"""AT_FDCWD: stands for the current directory."""
_UNREAD = "?"


def json_line(value: dict[str, Any]) -> str:
    """ASCII without control characters, the newline at its end included."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    # the encoder leaves this one control character, which can only stand inside a string
    return text.replace("\x7f", "\\u007f") + "\n"


def json_event(row: Row, text: bytes, time_ns: int, own: Optional[JsonOf] = None) -> str:
    """`text` is what rows point into, `time_ns` since the epoch; `own` knows the event's keys, of a
    type that no function here knows."""
    kind = EVENT_TYPES[row["type"]]
    event = {
        "type": _TYPE_OF.get(kind, kind),
        "time": utc(time_ns),
        "monotonic_ns": row["time_ns"],
        "pid": row["pid"],
        "tid": row["tid"],
        "uid": row["uid"],
        "comm": data_text(row["comm"]),
        "thread_comm": data_text(row["thread_comm"]),
    }
    if kind in _UNOWNED and not row["pid"]:
        event.update(dict.fromkeys(("pid", "tid", "uid", "comm", "thread_comm")))
    event.update((own or _JSON[kind])(row, text))
    return json_line(event)


def text_event(
    row: Row, text: bytes, time_ns: int, ascii: bool, own: Optional[TextOf] = None
) -> str:
    """`[15:30:45.123] PID 1234 (bash) UID 1000 started: /bin/ls -l`, in local time."""
    clock = f"{_local(time_ns // 10**9)}.{time_ns // 10**6 % 1000:03d}"
    comm = displayable(row["comm"], ascii)
    if EVENT_TYPES[row["type"]] == "tcp":
        whose = f"PID {row['pid']} ({comm})" if row["pid"] else f"PID {units.UNKNOWN}"
        return f"[{clock}] {_text_tcp(row, text, whose)}\n"
    if EVENT_TYPES[row["type"]] in _UNOWNED and not row["pid"]:
        return f"[{clock}] kernel {_TEXT[EVENT_TYPES[row['type']]](row, text, ascii)}\n"
    what = (own or _TEXT[EVENT_TYPES[row["type"]]])(row, text, ascii)
    return f"[{clock}] PID {row['pid']} ({comm}) UID {row['uid']} {what}\n"


def json_lost(cause: str, count: int) -> str:
    return json_line({"type": "lost", "count": count, "cause": cause})


def text_lost(cause: str, count: int) -> str:
    return f"[lost] {count} events: {_CAUSES.get(cause, cause)}\n"


_CAUSES = {
    "ring_buffer": "the buffer was full",
    "event_rows": "more at once than ebtop keeps",
    "calls": "the kernel did not say when they began or ended",
    "forks": "births of processes, for the buffer was full",
    "unwritten": "the end came, and there was no time to write them",
}


def utc(time_ns: int) -> str:
    """As ISO 8601 has it, to the microsecond."""
    return f"{_utc(time_ns // 10**9)}.{time_ns // 1000 % 10**6:06d}Z"


@lru_cache(maxsize=64)
def _utc(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


@lru_cache(maxsize=64)
def _local(second: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(second))


def signal_name(number: int) -> str:
    """`SIGKILL`, `SIGRTMIN+3`."""
    first = int(signal.SIGRTMIN)
    if first < number < int(signal.SIGRTMAX):
        return f"SIGRTMIN+{number - first}"
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def _raw(row: Row, text: bytes) -> bytes:
    return text[row["text"] : row["text"] + row["text_bytes"]]


def arguments(raw: bytes) -> list[bytes]:
    """One after the other, each ended by a NUL; the last of those that were cut has none."""
    return (raw[:-1] if raw.endswith(b"\0") else raw).split(b"\0") if raw else []


# ---- exec ----


def _json_exec(row: Row, text: bytes) -> dict[str, Any]:
    raw = _raw(row, text)
    name = text[row["name"] : row["name"] + row["name_bytes"]]
    cut = {"args_cut": True} if row["marks"] & TEXT_CUT else {}
    file = _file(row, text)
    return {
        "ppid": row["ppid"] or None,
        "filename": data_text(name) if name else None,
        "args": [data_text(word) for word in arguments(raw)] if raw else None,
        "file": data_text(file) if file else None,
        "error": error_name(row["result"]),
        **cut,
    }


def _file(row: Row, text: bytes) -> bytes:
    """What the program's file itself is called."""
    return text[row["file"] : row["file"] + row["file_bytes"]]


def _text_exec(row: Row, text: bytes, ascii: bool) -> str:
    raw = _raw(row, text)
    words = displayable(raw, ascii) if raw else f"[{displayable(row['comm'], ascii)}]"
    line = f"started: {words}{_CUT if row['marks'] & TEXT_CUT else ''}"
    name = text[row["name"] : row["name"] + row["name_bytes"]]
    file = _file(row, text)
    # a path through a descriptor does not name the file behind it
    if file and name.startswith(_DESCRIPTORS):
        line += f" ({displayable(file, ascii)})"
    return line


def _text_exec_failed(row: Row, text: bytes, ascii: bool) -> str:
    name = text[row["name"] : row["name"] + row["name_bytes"]]
    shown = displayable(name, ascii) if name else _UNREAD
    return f"could not start: {shown} = -1 {error_name(row['result'])}"


# ---- exit ----


def _json_exit(row: Row, text: bytes) -> dict[str, Any]:
    number = row["exit_code"] & 0x7F
    return {
        "ppid": row["ppid"],
        "exit_code": exit_status(row["exit_code"]),
        "signal": signal_name(number) if number else None,
        "duration_ns": row["duration_ns"],
        "oncpu_ns": _oncpu_ns(row),
    }


def _text_exit(row: Row, text: bytes, ascii: bool) -> str:
    code = row["exit_code"]
    how = f"exited: {exit_status(code)}"
    if code & 0x7F:
        core = " (core dumped)" if code & _CORE_DUMPED else ""
        how = f"killed: {signal_name(code & 0x7F)}{core}"
    oncpu_ns = _oncpu_ns(row)
    on_cpu = units.UNKNOWN if oncpu_ns is None else units.duration(oncpu_ns)
    return f"{how} after {units.duration(row['duration_ns'])}, on CPU {on_cpu}"


def _oncpu_ns(row: Row) -> Optional[int]:
    return row["oncpu_ns"] if row["oncpu_ns"] >= 0 else None


# ---- open ----


def _json_open(row: Row, text: bytes) -> dict[str, Any]:
    result, marks = row["result"], row["marks"]
    event: dict[str, Any] = {
        "filename": None if marks & TEXT_UNREAD else data_text(_raw(row, text)),
        "flags": row["open_flags"],
        "result": result,
        "error": error_name(result),
        "dirfd": None,
        "relative_to": None,
    }
    if marks & TEXT_CUT:
        event["filename_cut"] = True
    if not _is_relative(row, text):
        return event
    path = _directory(row, text)
    if row["dirfd"] != _CWD:
        event["dirfd"] = row["dirfd"]
    if path or row["dirfd"] == _CWD:
        event["relative_to"] = data_text(path) if path else "cwd"
    if marks & PATH_CUT:
        event["relative_to_cut"] = True
    if marks & PATH_REMOVED:
        event["relative_to_removed"] = True
    return event


def _is_relative(row: Row, text: bytes) -> bool:
    return not row["marks"] & TEXT_UNREAD and not _raw(row, text).startswith(b"/")


def _directory(row: Row, text: bytes) -> bytes:
    """Empty: it was not asked for, or there is none."""
    return text[row["name"] : row["name"] + row["name_bytes"]]


def _text_relative(row: Row, text: bytes, ascii: bool) -> str:
    path = _directory(row, text)
    if not path:
        return " (in cwd)" if row["dirfd"] == _CWD else f" (in fd {row['dirfd']})"
    removed = ", removed" if row["marks"] & PATH_REMOVED else ""
    return f" (in {displayable(path, ascii)}{removed})"


def _text_open(row: Row, text: bytes, ascii: bool) -> str:
    marks = row["marks"]
    name = _UNREAD if marks & TEXT_UNREAD else displayable(_raw(row, text), ascii)
    cut = _CUT if marks & TEXT_CUT else ""
    failed = error_name(row["result"])
    result = row["result"] if failed is None else f"-1 {failed}"
    where = _text_relative(row, text, ascii) if _is_relative(row, text) else ""
    return f"opened: {name}{cut}{where} = {result}"


# ---- tcp ----


def _connection(row: Row, text: bytes) -> Row:
    return CONNECTION.unpack(_raw(row, text), 0)


def _lasted_ns(row: Row, connection: Row) -> Optional[int]:
    """The state that the connection left; when it closes, the whole connection."""
    if is_closed(connection):
        return duration_ns(connection, row["time_ns"])
    return row["duration_ns"] or None


def _json_tcp(row: Row, text: bytes) -> dict[str, Any]:
    connection = _connection(row, text)
    listens = "LISTEN" in (state_name(row["result"]), state_name(connection["state"]))
    return {
        "family": connection["family"],
        "saddr": address(connection, "saddr"),
        "sport": connection["sport"] or None,
        "daddr": None if listens else address(connection, "daddr"),
        "dport": None if listens else connection["dport"],
        "old_state": state_name(row["result"]),
        "new_state": state_name(connection["state"]),
        "duration_ns": _lasted_ns(row, connection),
        "state_ns": row["duration_ns"] or None,
        "tx_bytes": counted(connection, "tx_bytes"),
        "rx_bytes": counted(connection, "rx_bytes"),
        "retransmits": counted(connection, "retransmits"),
        "rtt_ns": rtt_ns(connection),
        "direction": direction(connection),
        "netns": connection["netns"],
        "close_reason": close_reason(connection),
    }


def _text_tcp(row: Row, text: bytes, whose: str) -> str:
    connection = _connection(row, text)
    ends = f"{place(connection, 'saddr')} -> {place(connection, 'daddr')}"
    states = f"{state_name(row['result'])} -> {state_name(connection['state'])}"
    took = f" ({units.duration(row['duration_ns'])})" if row["duration_ns"] else ""
    line = f"{ends} {states}{took} {whose}"
    if not is_closed(connection):
        return line
    lasted = _lasted_ns(row, connection)
    lived = units.UNKNOWN if lasted is None else units.duration(lasted)
    sent, received = counted(connection, "tx_bytes"), counted(connection, "rx_bytes")
    how = close_reason(connection) or "given up"
    return f"{line} {how} after {lived}, sent {sent} B, received {received} B"


# ---- signals ----


def _json_signal(row: Row, text: bytes) -> dict[str, Any]:
    return {
        "signal": signal_name(row["result"]),
        "number": row["result"],
        "target_pid": row["target"],
        "target_comm": data_text(_raw(row, text)),
        "ignored": bool(row["marks"] & SIGNAL_IGNORED),
    }


def _text_signal(row: Row, text: bytes, ascii: bool) -> str:
    ignored = " (ignored)" if row["marks"] & SIGNAL_IGNORED else ""
    name = signal_name(row["result"])
    return f"sent: {name} to {row['target']} ({displayable(_raw(row, text), ascii)}){ignored}"


def _json_oom(row: Row, text: bytes) -> dict[str, Any]:
    comm = _raw(row, text)
    return {
        "victim_pid": row["target"],
        "victim_comm": data_text(comm) if comm else None,
        "cgroup_id": row["address"] or None,
        "rss_bytes": None if row["result"] < 0 else row["result"],
    }


def _text_oom(row: Row, text: bytes, ascii: bool) -> str:
    comm = displayable(_raw(row, text), ascii) or units.UNKNOWN
    held = units.UNKNOWN if row["result"] < 0 else units.size(row["result"])
    return f"out of memory: killed {row['target']} ({comm}), which held {held}"


# ---- mem ----

_CALLS = {MMAP: "mmap", MUNMAP: "munmap", MREMAP: "mremap", BRK: "brk", MMAP_OLD: "mmap"}


def _change(row: Row) -> int:
    """What the call was for: of brk and mremap the change, of the others how much."""
    if row["open_flags"] in (MMAP, MMAP_OLD):
        return int(row["allocated_bytes"])
    sign = 1 if row["open_flags"] == MUNMAP else -1
    return int(row["allocated_bytes"] or sign * row["freed_bytes"])


def _json_mem(row: Row, text: bytes) -> dict[str, Any]:
    return {
        "call": _CALLS.get(row["open_flags"]),
        "bytes": _change(row),
        "address": row["address"],
        "allocated_bytes": row["allocated_bytes"],
        "freed_bytes": row["freed_bytes"],
    }


def _text_mem(row: Row, text: bytes, ascii: bool) -> str:
    call = _CALLS.get(row["open_flags"], "?")
    over = ""
    if row["allocated_bytes"] and row["freed_bytes"]:
        over = f" over {row['freed_bytes']} that were mapped"
    return f"{call}: {_change(row)} bytes at {row['address']:#x}{over}"


_JSON: dict[str, JsonOf] = {
    "exec": _json_exec,
    "exec_failed": _json_exec,
    "exit": _json_exit,
    "open": _json_open,
    "tcp": _json_tcp,
    "mem": _json_mem,
    "signal": _json_signal,
    "oom": _json_oom,
    "slow": json_slow,
}
_TEXT: dict[str, TextOf] = {
    "exec": _text_exec,
    "exec_failed": _text_exec_failed,
    "exit": _text_exit,
    "open": _text_open,
    "mem": _text_mem,
    "signal": _text_signal,
    "oom": _text_oom,
    "slow": text_slow,
}
