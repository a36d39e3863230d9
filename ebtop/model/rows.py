# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns which rows are shown and in which order: filter, sort, tree; rows are named by index.

The cost is proportional to what ran, not to what exists: a sort by a counter touches only the
active rows, because the idle rows all have 0 and are in order of pid already. Only the rows that
are shown are unpacked, by the views.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, NamedTuple

from ebtop.model.connection_table import owners_of_port
from ebtop.model.filters import KernelFilter, RowFilter
from ebtop.model.layout import FOLLOWED, KERNEL, Table
from ebtop.model.process_table import BY_NAME, Column, Context
from ebtop.model.snapshot import Snapshot
from ebtop.text import raw_bytes

Identity = tuple[int, int, int]
"""(pid, start_ns, tid): a reused pid is another process."""


class Order:
    """Indexes of rows of `table` as they are shown: parts one after the other, each a sequence."""

    def __init__(
        self,
        table: Table,
        parts: Sequence[Sequence[int]],
        branches: dict[int, str] | None = None,
        text: bytes = b"",
    ) -> None:
        self.table = table
        self.text = text
        """The text that rows refer to for long names."""
        self._parts = [part for part in parts if len(part)]
        self._length = sum(len(part) for part in self._parts)
        self.branches = branches or {}
        """The branch drawn before the command of a row in the tree."""

    def __len__(self) -> int:
        return self._length

    def window(self, first: int, count: int) -> list[int]:
        """The rows at `first` and after it, `count` at most."""
        rows: list[int] = []
        for part in self._parts:
            if first < len(part):
                rows.extend(part[first : first + count - len(rows)])
                first = 0
                if len(rows) == count:
                    break
            else:
                first -= len(part)
        return rows

    def position(self, identity: Identity) -> int | None:
        """The position of that process or thread; None if it is not shown."""
        tids = column_view(self.table, "tid")
        before = 0
        for part in self._parts:
            at = _find(part, tids, identity[2])
            if at is not None and identity_of(self.table, part[at]) == identity:
                return before + at
            before += len(part)
        return None


def _find(part: Sequence[int], tids: Any, tid: int) -> int | None:
    if isinstance(part, range):  # idle rows, in order of pid: no need to look at all of them
        inside = tids[part.start : part.stop]
        at = bisect_left(inside, tid)
        return at if at < len(part) and inside[at] == tid else None
    return next((at for at, index in enumerate(part) if tids[index] == tid), None)


def column_view(table: Table, name: str) -> Any:
    """One integer member of all rows, without copying any."""
    field = table.layout.fields[name]
    width = 4 if field.code in "Ii" else 8
    step = table.layout.stride // width
    words: Any = memoryview(table.data)
    return words.cast(field.code)[field.offset // width :: step]


def identity_of(table: Table, index: int) -> Identity:
    """(pid, start_ns, tid) of one row."""
    return tuple(column_view(table, name)[index] for name in ("pid", "start_ns", "tid"))


class RowQuery(NamedTuple):
    """Which rows are asked for, and in which order."""

    sort: Column = BY_NAME["cpu"]
    reverse: bool = False
    """Smallest first; without it every column sorts largest first."""
    filter: RowFilter = RowFilter()
    tree: bool = False
    threads: bool = False


EVERY_PROCESS = RowQuery()


def order_rows(query: RowQuery, context: Context) -> Order:
    """The rows that are to be shown, in order.

    Rows with equal values are in order of pid, active rows before idle ones. Rows whose value is
    unknown come last in either direction.
    """
    snapshot = context.snapshot
    table = snapshot.threads if query.threads else snapshot.processes
    count = len(table)
    held = _is_about_processes(snapshot.filter)
    if not query.filter and not held and not query.tree and _idle_are_zero(query, context):
        active = min(snapshot.system.active, count)
        head = _sorted(table, range(active), query, context)
        idle = range(active, count)
        return Order(table, (idle, head) if query.reverse else (head, idle), text=snapshot.text)
    rows = _filtered(table, query.filter, context) if query.filter else range(count)
    if held:
        rows = _held(table, rows, context)
    ordered = _sorted(table, rows, query, context)
    if query.tree:
        branches = _tree(table, ordered, context.ascii)
        return Order(table, (list(branches),), branches, snapshot.text)
    return Order(table, (ordered,), text=snapshot.text)


def _idle_are_zero(query: RowQuery, context: Context) -> bool:
    off_cpu = query.sort.field == "offcpu_ns" or query.sort.field.startswith("wait_")
    counts = query.sort.counter and not off_cpu
    return counts and not context.snapshot.cumulative and not query.threads


def name_at(table: Table, index: int, text: bytes, of_process: bool = False) -> bytes:
    """The name of one row without unpacking it; with `of_process` the name of the thread's process.
    The full name of a kernel thread is in `text`."""
    if column_view(table, "flags")[index] & KERNEL and column_view(table, "text_bytes")[index]:
        start = column_view(table, "text")[index]
        return text[start : start + column_view(table, "text_bytes")[index]]
    member = table.layout.fields["process_comm" if of_process else "comm"]
    start = index * table.layout.stride + member.offset
    return bytes(table.data[start : start + 16]).split(b"\0", 1)[0]


def _sorted(table: Table, rows: Sequence[int], query: RowQuery, context: Context) -> Sequence[int]:
    by_tid = column_view(table, "tid")
    tids = {index: by_tid[index] for index in rows} if len(rows) < 64 else by_tid.tolist()
    ordered = sorted(rows, key=tids.__getitem__)
    if query.sort.name == "pid":
        return ordered if query.reverse else ordered[::-1]
    unknown: list[int] = []
    mask = query.sort.known_bit
    if mask:
        known = column_view(table, "known")
        masks = known.tolist() if len(rows) >= 64 else known
        unknown = [index for index in ordered if not masks[index] & mask]
        if unknown:
            ordered = [index for index in ordered if masks[index] & mask]
    values = _values(table, ordered, query.sort, context)
    ordered.sort(key=values.__getitem__, reverse=not query.reverse)
    return ordered + unknown


def _values(table: Table, rows: Sequence[int], column: Column, context: Context) -> Any:
    if column.name == "cmd":
        text = context.snapshot.text
        return {index: name_at(table, index, text).lower() for index in rows}
    if column.name == "leak":
        return _growth(table, rows, context)
    view = column_view(table, column.field)
    if column.name == "user":
        names = context.snapshot.users
        return {index: names.get(view[index], str(view[index])) for index in rows}
    if column.name == "start":  # what is shown is the age: the oldest has the largest
        return {index: -view[index] for index in rows}
    return view.tolist() if len(rows) >= 64 else view


def _growth(table: Table, rows: Sequence[int], context: Context) -> dict[int, float]:
    leaks = context.snapshot.leaks or {}
    pids, starts = column_view(table, "pid"), column_view(table, "start_ns")
    found = ((index, leaks.get((pids[index], starts[index]))) for index in rows)
    return {index: leak.bytes_per_s if leak else 0.0 for index, leak in found}


def _filtered(table: Table, keep: RowFilter, context: Context) -> list[int]:
    rows: list[int] = list(range(len(table)))
    if keep.pids:
        pids = column_view(table, "pid").tolist()
        rows = [index for index in rows if pids[index] in keep.pids]
        if table is context.snapshot.processes:
            rows = _without_others(rows, table, context.snapshot.filter)
    if keep.user is not None:
        uids = _uids_named(keep.user, context)
        owners = column_view(table, "uid").tolist()
        rows = [index for index in rows if owners[index] in uids]
    if keep.comm is not None:
        rows = _named(table, rows, keep.comm, context, of_process=True)
    if keep.thread is not None and table is context.snapshot.threads:
        rows = _named(table, rows, keep.thread, context)
    if keep.port is not None and context.snapshot.connections is not None:
        owners = owners_of_port(context.snapshot.connections, keep.port)
        pids = column_view(table, "pid").tolist()
        rows = [index for index in rows if pids[index] in owners]
    return rows


def _without_others(rows: list[int], table: Table, named: KernelFilter) -> list[int]:
    """Leaves out a process that reused the pid of the process named in the filter."""
    pids, starts = column_view(table, "pid"), column_view(table, "start_ns")
    return [index for index in rows if not named.is_another(pids[index], starts[index])]


def _is_about_processes(held: KernelFilter) -> bool:
    return bool(held.pid or held.uid is not None or held.port or held.excluded)


def _held(table: Table, rows: Sequence[int], context: Context) -> list[int]:
    """The rows that also pass the kernel's filter, which another process may have set (`ebtop
    set`)."""
    held = context.snapshot.filter
    pids = column_view(table, "pid")
    kept = [index for index in rows if pids[index] not in held.excluded]
    if held.pid:
        those = {held.pid} | (_followed(context.snapshot) if held.descendants else set())
        kept = [index for index in kept if pids[index] in those]
        if table is context.snapshot.processes:
            kept = _without_others(kept, table, held)
    if held.uid is not None:
        owners = column_view(table, "uid")
        kept = [index for index in kept if owners[index] == held.uid]
    if held.port and context.snapshot.connections is not None:
        ends = owners_of_port(context.snapshot.connections, held.port)
        kept = [index for index in kept if pids[index] in ends]
    return kept


def _followed(snapshot: Snapshot) -> set[int]:
    pids = column_view(snapshot.processes, "pid")
    flags = column_view(snapshot.processes, "flags")
    return {pid for pid, flag in zip(pids, flags) if flag & FOLLOWED}


def _named(
    table: Table, rows: list[int], name: str, context: Context, of_process: bool = False
) -> list[int]:
    part, text = raw_bytes(name).lower(), context.snapshot.text
    return [index for index in rows if part in name_at(table, index, text, of_process).lower()]


def _uids_named(user: str, context: Context) -> frozenset[int]:
    named = {uid for uid, name in context.snapshot.users.items() if name == user}
    if user.isascii() and user.isdecimal():
        named.add(int(user))
    return frozenset(named)


def _tree(table: Table, ordered: Sequence[int], ascii: bool) -> dict[int, str]:
    """The rows again, children after their parent, each with the branch to draw before it.

    A row whose parent is not shown is a root. A cycle of parents, possible only in an inconsistent
    reading of /proc, is broken at its first row.
    """
    pids, ppids = (column_view(table, name).tolist() for name in ("pid", "ppid"))
    # pid 0 is the parent of the first processes, but no process of the table
    present = {pids[index] for index in ordered} - {0}
    children: dict[int, list[int]] = {}
    roots: list[int] = []
    for index in ordered:
        parent = ppids[index]
        if parent in present and parent != pids[index]:
            children.setdefault(parent, []).append(index)
        else:
            roots.append(index)
    branches: dict[int, str] = {}
    for start in (*roots, *ordered):
        if start not in branches:
            _grow(start, children, pids, branches, ascii)
    return branches


def _grow(
    root: int,
    children: dict[int, list[int]],
    pids: Sequence[int],
    branches: dict[int, str],
    ascii: bool,
) -> None:
    fork, last, down = ("|- ", "`- ", "|  ") if ascii else ("├─ ", "└─ ", "│  ")
    waiting: list[tuple[int, str, str]] = [(root, "", "")]
    while waiting:
        index, branch, below = waiting.pop()
        if index in branches:
            continue
        branches[index] = branch
        below_it = children.pop(pids[index], [])
        for place, child in enumerate(reversed(below_it)):
            own, under = (last, "   ") if place == 0 else (fork, down)
            waiting.append((child, below + own, below + under))
