# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns which of the events read from the buffer get a line, and how lines are grouped for writing.

How a line looks is outputs/eventlines.py's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, Optional

from ebtop.commands.calllines import CallLines
from ebtop.commands.kprobe import Target
from ebtop.model.layout import EVENT_TYPES
from ebtop.model.snapshot import Stream
from ebtop.options.options import Options
from ebtop.options.targets import uid_of
from ebtop.outputs.eventlines import json_event, json_lost, text_event, text_lost
from ebtop.runtime.stdio import say
from ebtop.sources import host
from ebtop.sources.bpf import PlainLines
from ebtop.text import raw_bytes

KINDS = {"exec": ("exec", "exec_failed", "exit"), "open": ("open",), "kprobe": ("kprobe",),
         "tcp": ("tcp",), "mem": ("mem",), "signals": ("signal", "oom"),
         "slow": ("slow",)}  # fmt: skip
"""By command: the events that get a line."""
_LOST = ("ring_buffer", "event_rows")
_LASTS_S = 3.0
_PIECE_ROWS, _PIECE_BYTES = 256, 1 << 16
"""The size of one write: signals are checked between two writes."""
_ADVICE = (
    "events are lost because they come faster than they are read; fewer come with a filter"
    " (-p, -u), and more fit with a larger --buffer-size"
)


class Piece(NamedTuple):
    """Some lines that are written together, and what they are about."""

    data: bytes
    events: int = 0
    lost: Mapping[str, int] = {}
    """By cause; a piece that has this has no events."""
    starts: Optional[Sequence[int]] = None
    """Where in `data` the events begin; None: each is one line."""

    def whole(self, written: int) -> int:
        """So many of its events are in the first `written` bytes."""
        if self.starts is None:
            return self.data.count(b"\n", 0, written)
        ends = [*self.starts[1:], len(self.data)]
        return sum(end <= written for end in ends)


class Lines:
    """Makes lines of the events read from the buffer, and keeps state between reads."""

    def __init__(self, options: Options, target: Optional[Target] = None) -> None:
        self._json = options.json
        self._ascii = options.ascii
        self._left = options.iterations
        self._filter = EventFilter(options)
        self._plain = PlainLines(options.json) if options.command == "open" else None
        self.counts_only = False
        """From now on events are counted but not formatted."""
        self._loss = Loss()
        # a lost birth means that a descendant is not followed
        self._causes = [*_LOST, "forks"] if options.descendants else [*_LOST]
        self._calls = CallLines(target) if target else None
        if target:
            self._causes.append("calls")

    @property
    def complete(self) -> bool:
        """As many as were asked for have been written."""
        return self._left == 0

    def of(self, stream: Stream) -> Iterator[Piece]:
        """What to write; the last piece says what was lost up to here."""
        to_epoch_ns = time.time_ns() - time.monotonic_ns()
        plain = self._plain if self._filter.all_of_them else None
        rows, end = stream.events, len(stream.events)
        if self._left is not None and plain is not None:
            end = min(end, self._left)
        made = _Pieces()
        at = 0
        while at < end and self._left != 0:
            if plain is not None:
                done, lines = end - at, b""
                if not self.counts_only:
                    yield from made.taken()
                    until = min(end, at + _PIECE_ROWS)
                    done, lines = plain.of(stream, at, until, to_epoch_ns)
                self._count(done)
                at += done
                if done:
                    yield Piece(lines, done)
                    continue
            row = rows.row(at)
            at += 1
            if self._filter(row):
                made.add(b"" if self.counts_only else self._line(row, stream.text, to_epoch_ns))
                self._count(1)
            if made.bytes >= _PIECE_BYTES:
                yield from made.taken()
        yield from made.taken()
        lost = {cause: stream.lost.get(cause, 0) for cause in self._causes}
        self._loss.note(sum(lost.values()))
        lost = {cause: count for cause, count in lost.items() if count}
        if lost:
            yield Piece(self.lost(lost), lost=lost)

    def lost(self, counts: Mapping[str, int]) -> bytes:
        """A line a cause."""
        line = json_lost if self._json else text_lost
        return b"".join(raw_bytes(line(cause, count)) for cause, count in counts.items())

    def _line(self, row: dict[str, Any], text: bytes, to_epoch_ns: int) -> bytes:
        time_ns = row["time_ns"] + to_epoch_ns
        calls = self._calls
        if self._json:
            return raw_bytes(json_event(row, text, time_ns, calls.json if calls else None))
        own = calls.text if calls else None
        return raw_bytes(text_event(row, text, time_ns, self._ascii, own))

    def _count(self, events: int) -> None:
        if self._left is not None:
            self._left -= events


class _Pieces:
    """Gathers the lines of single events."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self.bytes = 0

    def add(self, line: bytes) -> None:
        self._lines.append(line)
        self.bytes += len(line)

    def taken(self) -> Iterator[Piece]:
        """All of them as one piece, if there are some."""
        lines, self._lines, self.bytes = self._lines, [], 0
        if lines:
            starts = [0, *accumulate(map(len, lines[:-1]))]
            yield Piece(b"".join(lines), len(lines), starts=starts)


class EventFilter:
    """Which events get a line. Births and ends of processes pass no filter in the kernel."""

    def __init__(self, options: Options) -> None:
        self._kinds = frozenset(EVENT_TYPES.index(kind) for kind in KINDS[options.command])
        self._fork = EVENT_TYPES.index("fork")
        self._exit = EVENT_TYPES.index("exit")
        births = "exec" in KINDS[options.command]
        # of the others the kernel sees to one pid and its descendants
        self._pids = set(options.pids) if births or len(set(options.pids)) > 1 else set()
        self._excluded = frozenset(options.excluded)
        self._all = not self._pids
        self._follow = options.descendants and births
        self._uid = uid_of(options.user) if births else None
        names = (("comm", options.comm), ("thread_comm", options.thread_name))
        self._names = [(member, raw_bytes(part)) for member, part in names if part is not None]
        if self._follow:
            self._pids |= host.descendants(self._pids)

    @property
    def all_of_them(self) -> bool:
        """Nothing is left for us to choose, as long as all events are of the kinds wanted."""
        plain = self._all and not self._follow and self._uid is None and not self._names
        return plain and not self._excluded

    def __call__(self, row: dict[str, Any]) -> bool:
        """To be asked of each event in turn."""
        kind, pid = row["type"], row["pid"]
        if self._follow and kind == self._fork and row["ppid"] in self._pids:
            self._pids.add(pid)
        chosen = kind in self._kinds and (self._all or pid in self._pids) and self._passes(row)
        chosen = chosen and pid not in self._excluded
        if self._follow and kind == self._exit:
            self._pids.discard(pid)
        return chosen

    def _passes(self, row: dict[str, Any]) -> bool:
        if self._uid is not None and row["uid"] != self._uid:
            return False
        return all(part in row[member] for member, part in self._names)


class Loss:
    """Says once what to do when losses go on for some seconds."""

    def __init__(self) -> None:
        self._since: Optional[float] = None
        self._last = 0.0
        self._said = False

    def note(self, lost: int) -> None:
        now = time.monotonic()
        if self._since is not None and now - self._last > _LASTS_S / 2:
            self._since = None  # it was over in between
        if lost:
            self._since = now if self._since is None else self._since
            self._last = now
        if self._since is not None and now - self._since >= _LASTS_S and not self._said:
            self._said = True
            say(_ADVICE)
