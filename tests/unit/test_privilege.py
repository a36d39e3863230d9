# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Whom ebtop becomes, what it keeps, and when it cannot: decided from text alone."""

from __future__ import annotations

import pwd
from pathlib import Path
from types import SimpleNamespace

import pytest

from ebtop.runtime import privilege
from ebtop.runtime.privilege import (
    NOBODY,
    User,
    bit,
    hides_processes,
    invoker,
    is_mapped,
    kept,
    obstacle,
)

ALL = "CapEff:\t000001ffffffffff\n"
WHOLE = "         0          0 4294967295\n"


@pytest.fixture
def users(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with these users, whatever this one has."""
    known = {0: 0, 1000: 1001, 1002: 0, 99: 98}

    def by_uid(uid: int) -> SimpleNamespace:
        return SimpleNamespace(pw_uid=uid, pw_gid=known[uid])

    monkeypatch.setattr(pwd, "getpwuid", by_uid)
    monkeypatch.setattr(pwd, "getpwnam", lambda name: {"nobody": by_uid(99)}[name])


@pytest.mark.parametrize(
    "environment, user",
    [
        ({"SUDO_UID": "1000", "SUDO_GID": "1005"}, User(1000, 1005)),
        ({"SUDO_UID": "1000"}, User(1000, 1001)),
        ({"SUDO_UID": "1000", "SUDO_GID": "0"}, User(1000, 1001)),
        ({"SUDO_UID": "1002", "SUDO_GID": "0"}, User(1002, NOBODY)),
        ({"SUDO_UID": "77777", "SUDO_GID": "x"}, User(77777, NOBODY)),
        ({"SUDO_UID": "0", "SUDO_GID": "0"}, User(99, 98)),
        ({"SUDO_UID": "0", "PKEXEC_UID": "1000"}, User(1000, 1001)),
        ({"PKEXEC_UID": "1000", "SUDO_GID": "5"}, User(1000, 1001)),
        ({"PKEXEC_UID": "77777"}, User(77777, NOBODY)),
        ({}, User(99, 98)),
        *(
            ({"SUDO_UID": text, "SUDO_GID": "1000", "PKEXEC_UID": text}, User(99, 98))
            for text in ("", " 1000", "1000 ", "+1000", "-1", "1_000", "0x3e8", "root", "٣",
                         "4294967295", "4294967296", "99999999999999999999", "00", "\udcff")
        ),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("users")
def test_it_becomes_its_caller_and_never_root(environment: dict[str, str], user: User) -> None:
    assert invoker(environment) == user


@pytest.mark.parametrize(
    "environment, user",
    [
        ({"SUDO_UID": "1000", "SUDO_GID": "0"}, User(1000, 0)),
        ({"SUDO_UID": "1000", "SUDO_GID": "1005"}, User(1000, 1005)),
        ({"SUDO_UID": "1000", "SUDO_GID": "x"}, User(1000, 1001)),
        ({"SUDO_UID": "1002"}, User(1002, 0)),
        ({"PKEXEC_UID": "1002"}, User(1002, 0)),
        ({"SUDO_UID": "0", "SUDO_GID": "0"}, None),
        ({"SUDO_UID": "0", "PKEXEC_UID": "0"}, None),
        ({}, None),
    ],
)
@pytest.mark.usefixtures("users")
def test_who_called_keeps_the_group_of_root(environment: dict[str, str], user: User) -> None:
    assert privilege.caller(environment) == user


def test_without_a_user_nobody_its_number_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(pwd, "getpwnam", nothing)
    assert invoker({}) == User(65534, 65534)


def self_folder(root: Path, **files: str) -> str:
    for name, text in {"status": ALL, "setgroups": "allow\n", "uid_map": WHOLE,
                       "gid_map": WHOLE, **files}.items():  # fmt: skip
        (root / name).write_text(text)
    return str(root)


@pytest.mark.parametrize(
    "files, reason",
    [
        ({}, None),
        ({"status": "CapEff:\t000001ffffffff7f\n"}, "without CAP_SETUID"),
        ({"status": "CapEff:\t000001ffffffffbf\n"}, "without CAP_SETGID"),
        ({"status": "CapEff:\t000000c000000000\n"}, "without CAP_SETUID and CAP_SETGID"),
        ({"setgroups": "deny\n"}, "in a user namespace without setgroups"),
        ({"uid_map": "0 1000 1\n"}, "in a user namespace without uid 1000"),
        ({"uid_map": "0 1000 1\n1 100000 65536\n"}, None),
        ({"gid_map": "0 100000 1000\n"}, "in a user namespace without gid 1001"),
    ],
)
def test_what_keeps_root_from_becoming_another_is_named(
    tmp_path: Path, files: dict[str, str], reason: str
) -> None:
    assert obstacle(User(1000, 1001), self_folder(tmp_path, **files)) == reason


def test_where_nothing_can_be_read_it_is_tried(tmp_path: Path) -> None:
    assert obstacle(User(1000, 1001), str(tmp_path)) is None
    assert is_mapped(1000, "")


def test_it_keeps_what_later_probes_need_and_nothing_for_proc() -> None:
    assert kept(bpf=True, hidden=False) == {"CAP_BPF", "CAP_PERFMON"}
    assert kept(bpf=False, hidden=False) == set()
    assert kept(bpf=False, hidden=True) == {"CAP_SYS_PTRACE"}
    # as linux/capability.h numbers them
    numbers = {"CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_SYS_PTRACE": 19, "CAP_PERFMON": 38}
    assert {name: 1 << number for name, number in numbers.items()} == {n: bit(n) for n in numbers}
    assert bit("CAP_BPF") == 1 << 39


@pytest.mark.parametrize(
    "mounts, hidden",
    [
        ("proc /proc proc rw,nosuid 0 0\n", False),
        ("proc /proc proc rw,hidepid=2 0 0\n", True),
        ("proc /proc proc rw,gid=5,hidepid=invisible 0 0\n", True),
        ("proc /proc proc rw,hidepid=2 0 0\nproc /proc proc rw 0 0\n", False),
        ("proc /jail/proc proc rw,hidepid=2 0 0\n", False),
        ("garbage\n", False),
        ("", False),
    ],
)
def test_whether_proc_hides_processes_is_seen(mounts: str, hidden: bool) -> None:
    assert hides_processes(mounts) is hidden


def test_more_than_one_thread_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would have to give them up by itself. Nothing was given up here: the tests go on."""
    monkeypatch.setattr(privilege.os, "listdir", lambda _: ["1", "2"])
    with pytest.raises(privilege.EbtopError, match="more than one thread"):
        privilege.drop(bpf=True)
