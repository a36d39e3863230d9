# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What connections are called, in which order they stand, and what JSON says of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import synthetic

from ebtop.model.connection_table import (
    CLOSE,
    COLUMNS,
    STATES,
    address,
    drops,
    fitting,
    order,
    owners_of_port,
    place,
    sent_again_percent,
    state_text,
)
from ebtop.model.filters import RowFilter, port_of
from ebtop.model.layout import CONN_CLOSED, CONN_COUNTED, CONNECTION, EVENT, EVENT_TYPES, ffi
from ebtop.model.rows import RowQuery
from ebtop.outputs.eventlines import json_event, text_event
from ebtop.outputs.sample_json import sample_line


def connections(text: str = "") -> list[dict[str, Any]]:
    query = RowQuery(filter=RowFilter.parse(text))
    found: list[dict[str, Any]] = json.loads(sample_line(synthetic.talking(), query))["connections"]
    return found


def test_states_are_those_of_the_header() -> None:
    for number, name in ffi.typeof("enum ebtop_tcp_state").elements.items():
        assert "EBTOP_TCP_" + STATES[number] == name


def test_json_tells_what_is_known_and_null_of_the_rest() -> None:
    listener, accepted, six, setting_out, _, unknown, *closed = connections()
    assert (listener["state"], listener["backlog"], listener["backlog_max"]) == ("LISTEN", 3, 511)
    assert listener["daddr"] is listener["dport"] is listener["tx_bytes"] is None
    assert (accepted["saddr"], accepted["sport"]) == ("192.0.2.7", 80)
    assert (accepted["daddr"], accepted["dport"]) == ("198.51.100.9", 50412)
    assert (accepted["direction"], accepted["tx_bytes"]) == ("in", 48_210_003)
    assert (accepted["rtt_ns"], accepted["duration_ns"]) == (18_300_000, 90_000_000_000)
    assert (six["family"], six["daddr"], six["direction"]) == (6, "2001:db8::1", "out")
    assert setting_out["rtt_ns"] is None and setting_out["tx_bytes"] == 0
    for name in ("pid", "comm", "uid", "start_ns", "duration_ns", "tx_bytes", "direction"):
        assert unknown[name] is None
    assert [row["close_reason"] for row in closed] == [
        None, "fin", "reset", "timeout", "refused", "unreachable",
    ]  # fmt: skip
    assert all(row["closed"] and row["duration_ns"] == 1_000_000 for row in closed)


@pytest.mark.parametrize("text, ports", [
    ("port=80", [80, 80]), ("pid=900", [40003]), ("name=ngi", [80, 80]), ("user=nobody-here", []),
    ("user=1000 port=443", [50001]), ("port=5432 pid=501", []),
])  # fmt: skip
def test_a_filter_chooses_connections_too(text: str, ports: list[int]) -> None:
    assert [row["sport"] for row in connections(text)] == ports


@pytest.mark.parametrize("column", [column.name for column in COLUMNS])
def test_every_column_sorts_both_ways_with_the_unknown_last(column: str) -> None:
    snapshot = synthetic.talking()
    assert snapshot.connections is not None
    down, up = order(snapshot, column), order(snapshot, column, reverse=True)
    assert sorted(down) == sorted(up) == list(range(len(snapshot.connections)))
    value = next(c for c in COLUMNS if c.name == column).value
    rows = [snapshot.connections.row(index) for index in down]
    known = [value(row, snapshot.taken_ns) for row in rows]
    kept = [v for v in known if v is not None]
    assert known[: len(kept)] == kept == sorted(kept, reverse=True)


def test_places_and_states_in_words() -> None:
    row = dict.fromkeys(CONNECTION.names, 0)
    row.update(synthetic.connection("10.0.0.1:443", "10.0.0.255:0", "SYN_SENT"))
    assert place(row, "daddr") == "*"
    row = synthetic.connection("[::1]:443", "[fe80::1]:51000", "SYN_SENT")
    assert place(row, "saddr") == "[::1]:443" and place(row, "saddr", True) == "[::1]:https"
    row.update(flags=CONN_COUNTED | CONN_CLOSED, reason=2)
    assert state_text(row) == "closed reset"
    assert state_text({**row, "flags": 0, "state": 99}) == "UNKNOWN"


def test_owners_of_a_port_are_those_whose_connection_is_open() -> None:
    table = synthetic.talking().connections
    assert owners_of_port(table, 80) == {412} and owners_of_port(table, 8080) == {501}
    assert owners_of_port(table, 1) == owners_of_port(None, 80) == frozenset()


def test_few_columns_fit_and_addresses_stay() -> None:
    assert [column.name for column in fitting(20)] == ["local", "remote", "state"]
    assert fitting(500) == COLUMNS


@pytest.mark.parametrize("text, port", [
    ("port=443", 443), ("port=", None), ("443", None), ("port=x", None), ("port=65536", None),
])  # fmt: skip
def test_a_search_for_a_port(text: str, port: int | None) -> None:
    assert port_of(text) == port


def event(**values: Any) -> tuple[dict[str, Any], bytes]:
    """A change of state as the stream has it, and the text that it points into."""
    row = synthetic.connection("10.0.0.1:54321", "10.0.0.2:8080", "ESTABLISHED")
    row.update(values)
    text = CONNECTION.pack(row)
    head = dict.fromkeys(EVENT.names, 0)
    head.update(
        type=EVENT_TYPES.index("tcp"), pid=row.get("pid", 0), comm=b"n\nc",
        thread_comm=b"n\nc",
        result=STATES.index("SYN_SENT"), duration_ns=1_200_000, text_bytes=len(text),
        time_ns=synthetic.NOW_NS,
    )  # fmt: skip
    return head, text


def test_a_line_of_the_stream() -> None:
    line = text_event(*event(pid=5678), 0, True)
    assert line.partition("] ")[2] == (
        "10.0.0.1:54321 -> 10.0.0.2:8080 SYN_SENT -> ESTABLISHED (1.2ms) PID 5678 (n\\x0ac)\n"
    )
    assert text_event(*event(), 0, True).endswith("(1.2ms) PID -\n")
    found = json.loads(json_event(*event(), 0))
    assert found["pid"] is found["comm"] is found["uid"] is found["close_reason"] is None
    assert (found["old_state"], found["new_state"]) == ("SYN_SENT", "ESTABLISHED")
    assert found["duration_ns"] == found["state_ns"] == 1_200_000


def test_the_last_line_of_a_connection_tells_what_it_was() -> None:
    over = {"pid": 7, "flags": CONN_COUNTED | CONN_CLOSED, "reason": 2, "tx_bytes": 1009,
            "rx_bytes": 3, "state": CLOSE, "end_ns": synthetic.NOW_NS,
            "start_ns": synthetic.NOW_NS - 2_000_000_000}  # fmt: skip
    line = text_event(*event(**over), 0, True)
    assert line.endswith("reset after 2.00s, sent 1009 B, received 3 B\n")
    found = json.loads(json_event(*event(**over), 0))
    assert (found["duration_ns"], found["tx_bytes"]) == (2_000_000_000, 1009)
    assert (found["state_ns"], found["close_reason"]) == (1_200_000, "reset")


def row(local: str, remote: str, state: str, **values: Any) -> dict[str, Any]:
    found = synthetic.connection(local, remote, state, **values)
    return CONNECTION.unpack(CONNECTION.pack(found), 0)


def test_an_address_of_a_link_has_its_interface() -> None:
    found = row("[fe80::1]:22", "[fe80::2]:50001", "ESTABLISHED", scope=7)
    assert (place(found, "saddr"), address(found, "daddr")) == ("[fe80::1%7]:22", "fe80::2%7")
    # bound to an interface, which names no place
    found = row("[2001:db8::1]:22", "[2001:db8::2]:50001", "ESTABLISHED", scope=7)
    assert place(found, "saddr") == "[2001:db8::1]:22"


def test_what_goes_again_is_a_share_of_what_went() -> None:
    values = {"flags": CONN_COUNTED, "retransmits": 13, "segments": 1040}
    found = row("192.0.2.7:80", "198.51.100.9:50412", "ESTABLISHED", **values)
    assert sent_again_percent(found) == 1.25
    assert sent_again_percent({**found, "segments": 0}) is None
    # the kernel counts those sent again first
    assert sent_again_percent({**found, "segments": 12}) == 100
    assert sent_again_percent({**found, "flags": 0}) is None


def test_a_listening_socket_tells_what_it_threw_away() -> None:
    found = row("0.0.0.0:80", "", "LISTEN", drops=7, backlog=512, backlog_max=511)
    assert (state_text(found), drops(found)) == ("LISTEN 512/511 !7", 7)
    assert drops({**found, "flags": 0}) is None
    assert drops(row("192.0.2.7:80", "198.51.100.9:1", "ESTABLISHED", drops=7)) is None


def test_what_nobody_has_names_who_had_it() -> None:
    left = connections()[4]
    assert (left["left"], left["pid"]) == (True, 900)
    assert [found["left"] for found in connections()].count(True) == 1
