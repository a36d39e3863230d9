# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what a connection is called and shows: addresses, states, columns, the order of its rows.

The views decide what is drawn and where. The rows come from the collector: one per connection or
listening socket, which has no remote end.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Any, Optional

from ebtop import units
from ebtop.model.filters import RowFilter
from ebtop.model.layout import (
    CLOSE_REASONS,
    CONN_CLOSED,
    CONN_COUNTED,
    CONN_IN,
    CONN_LEFT,
    CONN_OUT,
    Table,
)
from ebtop.model.process_table import Row
from ebtop.model.snapshot import Snapshot
from ebtop.text import displayable, raw_bytes
from ebtop.units import UNKNOWN

STATES = (
    "UNKNOWN", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT",
    "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING",
)  # fmt: skip
LISTEN = STATES.index("LISTEN")
CLOSE = STATES.index("CLOSE")
PORT_NAMES = {
    20: "ftp-data", 21: "ftp", 22: "ssh", 23: "telnet", 25: "smtp", 53: "domain", 80: "http",
    88: "kerberos", 110: "pop3", 111: "sunrpc", 123: "ntp", 143: "imap", 179: "bgp", 389: "ldap",
    443: "https", 445: "smb", 465: "smtps", 514: "syslog", 587: "submission", 631: "ipp",
    636: "ldaps", 853: "domain-s", 873: "rsync", 993: "imaps", 995: "pop3s", 1433: "mssql",
    1521: "oracle", 1883: "mqtt", 2049: "nfs", 2379: "etcd", 3128: "squid", 3260: "iscsi",
    3306: "mysql", 3389: "rdp", 5201: "iperf3", 5432: "postgres", 5671: "amqps", 5672: "amqp",
    5900: "vnc", 6379: "redis", 6443: "kube-api", 8080: "http-alt", 8443: "https-alt",
    9090: "prometheus", 9092: "kafka", 9200: "elastic", 11211: "memcached", 27017: "mongodb",
}  # fmt: skip
"""Well-known ports and their names; the services database is not consulted."""


def state_name(number: int) -> str:
    """As ss(8) and the kernel have it."""
    return STATES[number] if number < len(STATES) else STATES[0]


def address(row: Row, end: str) -> str:
    """`end` is saddr or daddr. A link-local address is followed by the number of its interface."""
    words = [row[f"{end}_{index}"] for index in range(4)]
    if row["family"] == 4:
        return ".".join(map(str, struct.pack("=I", words[0])))
    found = IPv6Address(struct.pack("=4I", *words))
    return f"{found}%{row['scope']}" if found.is_link_local and row["scope"] else str(found)


def place(row: Row, end: str, names: bool = False) -> str:
    """Address and port, as `127.0.0.1:80` or `[::1]:80`; `*` where there is none (yet)."""
    port = row["dport" if end == "daddr" else "sport"]
    if end == "daddr" and (row["state"] == LISTEN or not port):
        return "*"
    shown = PORT_NAMES.get(port, str(port)) if names else str(port) if port else "*"
    text = address(row, end)
    return f"{text}:{shown}" if row["family"] == 4 else f"[{text}]:{shown}"


def close_reason(row: Row) -> Optional[str]:
    """fin, reset, timeout, refused, unreachable; None for an open or an abandoned connection."""
    return CLOSE_REASONS[row["reason"]] if row["reason"] else None


def direction(row: Row) -> Optional[str]:
    """out or in; None if the connection was opened before ebtop started."""
    if row["flags"] & CONN_OUT:
        return "out"
    return "in" if row["flags"] & CONN_IN else None


def is_closed(row: Row) -> bool:
    """It has ended."""
    return bool(row["flags"] & CONN_CLOSED)


def duration_ns(row: Row, now_ns: int) -> Optional[int]:
    """Its age, or its lifetime once closed; None if it was opened before ebtop started."""
    if not row["start_ns"]:
        return None
    return max(0, int(row["end_ns"] or now_ns) - int(row["start_ns"]))


def counted(row: Row, name: str) -> Optional[int]:
    """One of the kernel's counters; None if it could not be read, and for listening sockets."""
    if not row["flags"] & CONN_COUNTED or row["state"] == LISTEN:
        return None
    return int(row[name])


def sent_again_percent(row: Row) -> Optional[float]:
    """Share of the segments sent, those without data included; None where none was sent."""
    segments = counted(row, "segments")
    return min(100.0, 100 * row["retransmits"] / segments) if segments else None


def drops(row: Row) -> Optional[int]:
    """Connection requests that a listening socket dropped; None for connections."""
    if row["state"] != LISTEN or not row["flags"] & CONN_COUNTED:
        return None
    return int(row["drops"])


def rtt_ns(row: Row) -> Optional[int]:
    """Smoothed round-trip time; None when none was measured."""
    return row["rtt_us"] * 1000 if counted(row, "rtt_us") else None


def state_text(row: Row) -> str:
    """The state; for a closed connection how it ended, for a listening socket its backlog."""
    if is_closed(row):
        how = {"fin": "", "timeout": " timed out", None: " given up"}
        reason = close_reason(row)
        return "closed" + how.get(reason, f" {reason}")
    if row["state"] == LISTEN and row["flags"] & CONN_COUNTED:
        dropped = f" !{units.count(row['drops'])}" if row["drops"] else ""
        return f"LISTEN {row['backlog']}/{row['backlog_max']}{dropped}"
    return state_name(row["state"])


@dataclass(frozen=True)
class ConnectionColumn:
    """One column; `value` is what it sorts by, None where it is unknown."""

    name: str
    title: str
    width: int
    value: Callable[[Row, int], Any]
    show: Callable[[Row, int, bool], str]
    phrase: str
    importance: int
    help: str
    text: bool = False


def _key(end: str) -> Callable[[Row, int], Any]:
    port = "dport" if end == "daddr" else "sport"

    def key(row: Row, now_ns: int) -> Any:
        words = (row[f"{end}_{index}"] for index in range(4))
        return (row["family"], struct.pack("=4I", *words), row[port])

    return key


def _written(value: Callable[[Row, int], Any], write: Callable[[float], str]) -> Any:
    def show(row: Row, now_ns: int, ascii: bool) -> str:
        number = value(row, now_ns)
        return UNKNOWN if number is None else write(number)

    return show


def _number(
    name: str, title: str, width: int, value: Callable[[Row, int], Any],
    write: Callable[[float], str], phrase: str, importance: int, help: str,
) -> ConnectionColumn:  # fmt: skip
    show = _written(value, write)
    return ConnectionColumn(name, title, width, value, show, phrase, importance, help)


def _pid(row: Row, now_ns: int) -> Optional[int]:
    return row["pid"] or None


def is_left(row: Row) -> bool:
    """No process holds it any more: the owner shown is the last one, which may have exited."""
    return bool(row["flags"] & CONN_LEFT)


def _show_comm(row: Row, now_ns: int, ascii: bool) -> str:
    if not row["pid"]:
        return UNKNOWN
    name = displayable(row["comm"], ascii)
    return f"({name})" if is_left(row) else name


ADDRESS_LEAST, ADDRESS_MOST = 21, 47
"""What an IPv4 address and its port need, and an IPv6 one."""
COLUMNS = (
    ConnectionColumn("local", "LOCAL", ADDRESS_LEAST, _key("saddr"),
        lambda row, now, ascii: place(row, "saddr"), "local address", 100,
        "this end: address and port", True),
    ConnectionColumn("remote", "REMOTE", ADDRESS_LEAST, _key("daddr"),
        lambda row, now, ascii: place(row, "daddr"), "remote address", 100,
        "the other end", True),
    ConnectionColumn("state", "STATE", 18, lambda row, now: state_text(row),
        lambda row, now, ascii: state_text(row), "state", 95,
        "LISTEN: waiting/most for accept, !what was thrown away; closed: how it ended", True),
    _number("pid", "PID", 7, _pid, lambda n: str(int(n)), "pid", 90,
        "owner: who used it last; before that, who connected or accepted"),
    ConnectionColumn("name", "NAME", 15, lambda row, now: row["comm"] or None, _show_comm,
        "name", 80, "the owner's name; (NAME) had it last, and nobody has it now", True),
    _number("duration", "AGE", 6, duration_ns, units.duration, "age", 75,
        "since it began; of a closed one how long it lasted"),
    _number("tx", "TX", 6, lambda row, now: counted(row, "tx_bytes"), units.size, "bytes sent",
        85, "bytes sent, each counted once"),
    _number("rx", "RX", 6, lambda row, now: counted(row, "rx_bytes"), units.size,
        "bytes received", 84, "bytes received"),
    _number("retx", "RETX%", 5, lambda row, now: sent_again_percent(row), units.percent,
        "retransmissions", 70, "share of the segments sent that went again"),
    _number("rtt", "RTT", 6, lambda row, now: rtt_ns(row), units.duration, "round-trip time", 65,
        "smoothed round-trip time"),
)  # fmt: skip
BY_NAME = {column.name: column for column in COLUMNS}


def fitting(width: int) -> tuple[ConnectionColumn, ...]:
    """The columns that fit; the least important go first."""
    kept = list(COLUMNS)
    while sum(column.width + 1 for column in kept) > width and len(kept) > 3:
        kept.remove(min(kept, key=lambda column: column.importance))
    return tuple(kept)


def order(
    snapshot: Snapshot, sort: str, reverse: bool = False, keep: Optional[RowFilter] = None
) -> list[int]:
    """The rows that pass, largest first unless reversed; an unknown value is last either way."""
    table = snapshot.connections
    if table is None:
        return []
    rows = passing(snapshot, keep) if keep else range(len(table))
    values = _values(table, rows, sort, snapshot.taken_ns)
    known = [index for index in rows if values[index] is not None]
    known.sort(key=values.__getitem__, reverse=not reverse)
    return known + [index for index in rows if values[index] is None]


_PLAIN = {"tx": "tx_bytes", "rx": "rx_bytes"}


def _values(table: Table, rows: Sequence[int], sort: str, now_ns: int) -> dict[int, Any]:
    """The sort keys; numeric columns are read without unpacking rows."""
    if sort in _PLAIN:
        numbers, flags = table.column(_PLAIN[sort]), table.column("flags")
        states = table.column("state")
        return {
            index: numbers[index]
            if flags[index] & CONN_COUNTED and states[index] != LISTEN
            else None
            for index in rows
        }
    value = BY_NAME[sort].value
    return {index: value(table.row(index), now_ns) for index in rows}


def passing(snapshot: Snapshot, keep: RowFilter) -> list[int]:
    """The connections that a filter lets through."""
    table, users = snapshot.connections, snapshot.users
    rows: list[int] = list(range(len(table))) if table else []
    if table is None:
        return rows
    if keep.pids:
        pids = table.column("pid")
        rows = [index for index in rows if pids[index] in keep.pids]
        starts, named = table.column("owner_start_ns"), snapshot.filter
        rows = [index for index in rows if not named.is_another(pids[index], starts[index])]
    if keep.port is not None:
        sports, dports = table.column("sport"), table.column("dport")
        rows = [index for index in rows if keep.port in (sports[index], dports[index])]
    if keep.user is not None:
        uids_named = {uid for uid, name in users.items() if name == keep.user}
        if keep.user.isascii() and keep.user.isdecimal():
            uids_named.add(int(keep.user))
        pids, uids = table.column("pid"), table.column("uid")
        rows = [index for index in rows if pids[index] and uids[index] in uids_named]
    if keep.comm is not None:
        part = raw_bytes(keep.comm).lower()
        rows = [index for index in rows if part in table.row(index)["comm"].lower()]
    return rows


def owners_of_port(table: Optional[Table], port: int) -> frozenset[int]:
    """Pids of the processes that own an open connection with this port at either end."""
    if table is None:
        return frozenset()
    columns = (table.column(name) for name in ("pid", "sport", "dport", "flags"))
    return frozenset(
        pid
        for pid, sport, dport, flags in zip(*columns)
        if port in (sport, dport) and not flags & CONN_CLOSED
    )
