# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the TCP connections of the /proc source: /proc/PID/net/tcp and tcp6 list addresses and
states, /proc/PID/fd tells which process holds a socket.

Bytes, ages and closed connections are unknown. Scanning all descriptors is expensive: it is done
only when a socket without a known owner appears, and for a limited share of the time.
"""

from __future__ import annotations

import os
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional

from ebtop.model.layout import CONNECTION, KNOWN_BIT, ROW, Table
from ebtop.sources.procparse import number

_MOST_BYTES = 32 << 20
_MOST_ROWS = 65_536
_LOOK_SHARE = 50
_LOOK_EVERY = 16  # refreshes after which other namespaces are looked for
_NOBODYS = (b"06", b"0C")  # TIME_WAIT, NEW_SYN_RECV: before its handshake, after its end
_MAPPED = int.from_bytes(b"\0\0\xff\xff", sys.byteorder)
_LISTEN = 10
_NAMED = b"socket:["
_NAMES = ("tcp", "tcp6")


class Line(NamedTuple):
    """The fields of a line that are kept: both addresses as written, state, user and inode."""

    local: bytes
    remote: bytes
    state: int
    uid: int
    inode: int


class Owner(NamedTuple):
    """The owner of a socket. The start time distinguishes it from a later process with the same
    pid."""

    pid: int
    start_ns: int
    comm: bytes


def parse_lines(data: bytes) -> Iterator[Line]:
    """The open connections. Malformed lines are skipped."""
    for text in data.split(b"\n")[1:]:
        words = text.split(None, 10)
        try:
            if words[3] in _NOBODYS:
                continue
            line = Line(words[1], words[2], int(words[3], 16), number(words[7]), number(words[9]))
            _end(line.local), _end(line.remote)
        except (IndexError, ValueError):
            continue
        yield line


def _end(text: bytes) -> tuple[tuple[int, ...], int]:
    """Address in words as they lie in memory, and port."""
    address, _, port = text.partition(b":")
    if len(address) not in (8, 32) or len(port) != 4 or not (address + port).isalnum():
        raise ValueError(text)
    return tuple(int(address[at : at + 8], 16) for at in range(0, len(address), 8)), int(port, 16)


def pack_line(line: Line, owner: Optional[Owner], netns: int) -> bytes:
    """A packed row, as the collector packs a connection of which nothing else is known."""
    (saddr, sport), (daddr, dport) = _end(line.local), _end(line.remote)
    family = 4 if len(saddr) == 1 else 6
    if family == 6 and daddr[:3] == (0, 0, _MAPPED):
        family, saddr, daddr = 4, saddr[3:], daddr[3:]
    values: dict[str, int | bytes] = {
        "socket": line.inode or zlib.crc32(line.local + line.remote) | 1 << 63,
        "netns": netns, "uid": line.uid, "family": family, "sport": sport, "dport": dport,
        "state": line.state,
    }  # fmt: skip
    if owner is not None:
        values.update(pid=owner.pid, tid=owner.pid, comm=owner.comm)
        values["owner_start_ns"] = owner.start_ns
    values.update({f"saddr_{index}": word for index, word in enumerate(saddr)})
    values.update({f"daddr_{index}": word for index, word in enumerate(daddr)})
    return CONNECTION.pack(values)


class ProcConnections:
    """The open connections, from refresh to refresh."""

    def __init__(self, root: str = "/proc") -> None:
        self._root = root
        self._owners: dict[int, Owner] = {}
        self._namespaces: dict[int, int] = {}
        self._packed: dict[tuple[Line, Optional[Owner], int], bytes] = {}
        self._readable: set[int] = set()
        self._turn = 0
        self._looked_s = 0.0
        self._look_took_s = 0.0
        self.counts: dict[int, int] = {}
        """The number of connections by pid, for processes whose descriptors can be read."""

    def refresh(self, processes: Iterable[Owner]) -> Table:
        """Of those that live now: all that may own one."""
        alive = {owner.pid: owner for owner in processes}
        self._turn += 1
        self._forget(alive)
        found = list(self._lines())
        unknown = any(line.inode and line.inode not in self._owners for line, _ in found)
        if (unknown or self._turn % _LOOK_EVERY == 1) and self._may_look():
            self._look(alive)
            found = list(self._lines())
        packed = {}
        counts = Counter(dict.fromkeys(self._readable & alive.keys(), 0))
        for line, netns in found:
            owner = self._owners.get(line.inode)
            key = (line, owner, netns)
            packed[key] = self._packed.get(key) or pack_line(*key)
            if owner is not None and line.state != _LISTEN:
                counts[owner.pid] += 1
        self._packed, self.counts = packed, dict(counts)
        return Table(CONNECTION, b"".join(packed.values()))

    def _lines(self) -> Iterator[tuple[Line, int]]:
        places = {_namespace(f"{self._root}/self"): f"{self._root}/net"}
        for netns, pid in self._namespaces.items():
            places.setdefault(netns, f"{self._root}/{pid}/net")
        left = _MOST_ROWS
        for netns, folder in places.items():
            for name in _NAMES:
                for line in parse_lines(_read(f"{folder}/{name}")):
                    if left <= 0:
                        return
                    left -= 1
                    yield line, netns

    # ---- owners ----

    def _forget(self, alive: dict[int, Owner]) -> None:
        """Updates the names of owners, and forgets owners that have exited."""
        self._namespaces = {n: pid for n, pid in self._namespaces.items() if pid in alive}
        self._owners = {
            inode: alive[owner.pid]
            for inode, owner in self._owners.items()
            if owner.pid in alive and alive[owner.pid].start_ns == owner.start_ns
        }

    def _may_look(self) -> bool:
        return time.monotonic() - self._looked_s >= self._look_took_s * _LOOK_SHARE

    def _look(self, alive: dict[int, Owner]) -> None:
        began = time.monotonic()
        owners: dict[int, Owner] = {}
        self._readable = set()
        for pid, owner in sorted(alive.items()):
            inodes = _sockets(os.fsencode(f"{self._root}/{pid}/fd"))
            if inodes is None:
                continue
            self._readable.add(pid)
            for inode in inodes:
                # a shared socket belongs to the oldest process, which had it before it forked
                owners.setdefault(inode, owner)
            if inodes:
                self._namespaces.setdefault(_namespace(f"{self._root}/{pid}"), pid)
        # keep an owner that was found with more privileges than we have now
        kept = {i: o for i, o in self._owners.items() if o.pid not in self._readable}
        self._owners = {**kept, **owners}
        self._looked_s = time.monotonic()
        self._look_took_s = self._looked_s - began


def _sockets(folder: bytes) -> Optional[set[int]]:
    """The inodes of a process's open sockets; None if they cannot be read."""
    try:
        names = os.listdir(folder)
    except OSError:
        return None
    found = set()
    for name in names:
        try:
            target = os.readlink(folder + b"/" + name)
            if target.startswith(_NAMED):
                found.add(number(target[len(_NAMED) : -1]))
        except (OSError, ValueError):
            continue
    return found


def _namespace(folder: str) -> int:
    try:
        return os.stat(f"{folder}/ns/net").st_ino
    except OSError:
        return 0


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_MOST_BYTES)
    except OSError:
        return b""


# ---- into the rows of processes ----

_WORD = 8
_STRIDE = ROW.stride // _WORD
_KNOWN_AT = ROW.fields["known"].offset // _WORD
_COUNT_AT = ROW.fields["connections"].offset // _WORD


def with_counts(rows: bytes, counts: dict[int, int]) -> bytes:
    """The same rows with the number of open connections of each process, where known."""
    pids = ROW.column(rows, "pid")
    data = bytearray(rows)
    words = memoryview(data).cast("Q")
    for index, pid in enumerate(pids):
        count = counts.get(pid)
        if count is not None:
            words[index * _STRIDE + _COUNT_AT] = count
            words[index * _STRIDE + _KNOWN_AT] |= 1 << KNOWN_BIT["connections"]
    words.release()
    return bytes(data)
