# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What /proc/net/netstat says of listening sockets, and its growth."""

from __future__ import annotations

from pathlib import Path

from ebtop.model.snapshot import Listening
from ebtop.sources.netstat import ListenCounts, parse_netstat

TEXT = b"""TcpExt: SyncookiesSent ListenOverflows ListenDrops TW
TcpExt: 3 %d %d 9
IpExt: InNoRoutes ListenDrops
IpExt: 1 77
"""


def test_the_names_stand_over_their_numbers() -> None:
    assert parse_netstat(TEXT % (5, 7)) == Listening(5, 7)


def test_what_is_not_there_is_not_known() -> None:
    for text in (None, b"", b"TcpExt: ListenDrops\n", b"TcpExt: A ListenDrops\nTcpExt: 1 x\n"):
        assert parse_netstat(text) == Listening()
    assert parse_netstat(b"TcpExt: ListenDrops\nTcpExt: 3\n") == Listening(None, 3)


def test_counts_are_of_the_interval_or_since_the_beginning(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    file = tmp_path / "net" / "netstat"

    def says(overflows: int, drops: int) -> None:
        file.write_bytes(TEXT % (overflows, drops))

    says(100, 200)
    counts = ListenCounts(str(tmp_path))
    says(101, 203)
    assert counts.refresh() == Listening(1, 3)
    says(103, 205)
    assert counts.refresh() == Listening(2, 2)
    assert counts.refresh() == Listening(0, 0)
    assert counts.refresh(cumulative=True, reset=True) == Listening(3, 5)
    says(104, 206)
    assert counts.refresh(cumulative=True) == Listening(1, 1)
    file.unlink()
    assert counts.refresh() == Listening()
