# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what is asked about the whole machine and about ebtop itself, from small files of /proc.

Every file may be missing, empty or full of garbage (containers forge some of them): the value is
then None. Nothing about single processes is read here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass

from ebtop.model.snapshot import Host, Pressure, PressureLine

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_MOST_CPUS = 1 << 16
_MOST_NAMES = 10_000
NO_UID = 0xFFFFFFFF
_FIRST_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO, a fixed number of the kernel


@dataclass(frozen=True)
class SelfUsage:
    """What ebtop has used since it started; None where unknown."""

    cpu_ns: int
    rss_bytes: int | None


def read_small(path: str | bytes, most: int = 1 << 16) -> bytes | None:
    """The first `most` bytes of a file, None when it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        return os.read(fd, most)
    except OSError:
        return None
    finally:
        os.close(fd)


def read_host(root: str = "/proc", sys_root: str = "/sys") -> Host:
    """The facts of the header, read now."""
    memory = parse_meminfo(read_small(root + "/meminfo"))
    online = online_cpus(sys_root)
    return Host(
        name=os.fsencode(os.uname().nodename),
        uptime_s=parse_uptime(read_small(root + "/uptime")),
        load=parse_loadavg(read_small(root + "/loadavg")),
        memory_total_bytes=memory.get(b"MemTotal"),
        memory_available_bytes=memory.get(b"MemAvailable"),
        cpus=len(online) if online else (os.cpu_count() or 1),
        swap_total_bytes=memory.get(b"SwapTotal"),
        swap_free_bytes=memory.get(b"SwapFree"),
        pressure=read_pressure(root),
        **_huge_pages(memory),
    )


def online_cpus(sys_root: str = "/sys") -> list[int] | None:
    """The CPUs that are online now."""
    return parse_cpu_list(read_small(sys_root + "/devices/system/cpu/online"))


def in_own_pid_namespace(root: str = "/proc") -> bool | None:
    """Whether this process is in a child pid namespace; None if that cannot be read."""
    try:
        return os.stat(root + "/self/ns/pid").st_ino != _FIRST_PID_NAMESPACE
    except OSError:
        return None


def clocks_are_shifted(root: str = "/proc") -> bool:
    """Whether a time namespace has our clocks say something else than the kernel's own."""
    lines = (read_small(root + "/self/timens_offsets") or b"").splitlines()
    return any(word not in (b"0", b"-0") for line in lines for word in line.split()[1:])


def parse_cpu_list(data: bytes | None) -> list[int] | None:
    """b"0,3-7" -> [0, 3, 4, 5, 6, 7]; None when it is no such list."""
    cpus: set[int] = set()
    try:
        for part in (data or b"").strip().split(b","):
            first, dash, last = part.partition(b"-")
            low = _digits(first)
            high = _digits(last) if dash else low
            if not 0 <= low <= high < _MOST_CPUS:
                return None
            cpus.update(range(low, high + 1))
    except ValueError:
        return None
    return sorted(cpus) or None


def parse_uptime(data: bytes | None) -> float | None:
    values = _floats(data, 1)
    return values[0] if values else None


def parse_loadavg(data: bytes | None) -> tuple[float, float, float] | None:
    values = _floats(data, 3)
    return (values[0], values[1], values[2]) if values else None


def parse_meminfo(data: bytes | None) -> dict[bytes, int]:
    """Its lines by name, those in kB as bytes, the others as they are."""
    found: dict[bytes, int] = {}
    for line in (data or b"").split(b"\n"):
        name, colon, rest = line.partition(b":")
        words = rest.split()
        try:
            value = _digits(words[0]) if colon else None
        except (IndexError, ValueError):
            continue
        if value is not None:
            found.setdefault(name, value * 1024 if words[-1] == b"kB" else value)
    return found


def _huge_pages(found: dict[bytes, int]) -> dict[str, int | None]:
    page, total = found.get(b"Hugepagesize"), found.get(b"HugePages_Total")
    free = found.get(b"HugePages_Free")
    return {
        "huge_pages_total_bytes": None if page is None or total is None else page * total,
        "huge_pages_free_bytes": None if page is None or free is None else page * free,
        "anon_huge_pages_bytes": found.get(b"AnonHugePages"),
    }


def read_pressure(root: str = "/proc") -> Pressure | None:
    """None where the kernel does not keep it (psi=0, or before 4.20)."""
    lines = {
        name: parse_pressure(read_small(f"{root}/pressure/{name}"))
        for name in ("cpu", "memory", "io")
    }
    return lines if any(line != (None, None) for line in lines.values()) else None


def parse_pressure(data: bytes | None) -> PressureLine:
    """`some` and `full` of 10 s; the CPU has no full one before 5.13."""
    found: dict[bytes, float] = {}
    for line in (data or b"").split(b"\n"):
        name, _, rest = line.partition(b" ")
        share = rest.split(b" ")[0]
        values = _floats(share[len(b"avg10=") :], 1) if share.startswith(b"avg10=") else None
        if values and values[0] <= 100:
            found[name] = values[0]
    return found.get(b"some"), found.get(b"full")


def _digits(word: bytes) -> int:
    # int() alone would take "+1", "1_000" and blanks; and numbers without end
    if not word.isdigit() or len(word) > 19:
        raise ValueError(word)
    return int(word)


def _floats(data: bytes | None, count: int) -> list[float] | None:
    words = (data or b"").split()[:count]
    if len(words) < count:
        return None
    try:
        values = [float(word) for word in words]
    except ValueError:
        return None
    return values if all(0 <= value < 1e15 for value in values) else None


_names: dict[int, str | None] = {}


def uid_of(user: str) -> int | None:
    """The number of a user given by name or number; None when there is no such user."""
    import pwd

    try:
        return pwd.getpwnam(user).pw_uid
    except (KeyError, ValueError):
        is_number = user.isascii() and user.isdigit() and len(user) <= 10
        return int(user) if is_number and int(user) < NO_UID else None


def descendants(pids: set[int], root: str = "/proc") -> set[int]:
    """The living descendants of these processes, as far as /proc shows them."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir(root):
        stat = read_small(f"{root}/{entry}/stat") if entry.isdigit() else None
        if stat:
            parent = int(stat.rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry))
    found: set[int] = set()
    left = list(pids)
    while left:
        new = [pid for pid in children.get(left.pop(), ()) if pid not in found]
        found.update(new)
        left += new
    return found


NO_USER = (1 << 32) - 1
"""The uid_t that stands for no user: (uid_t)-1."""


def nameless(uids: set[int], names: dict[int, str]) -> frozenset[int]:
    """The uids without a name."""
    return frozenset(uids.difference(names, (NO_USER,)))


def users(uids: Iterable[int]) -> dict[int, str]:
    """Names of the given uids; a uid without a name is missing. Each is looked up once."""
    known = {}
    for uid in uids:
        if uid not in _names:
            if len(_names) >= _MOST_NAMES:
                _names.clear()
            _names[uid] = _user_name(uid)
        name = _names[uid]
        if name is not None:
            known[uid] = name
    return known


def _user_name(uid: int) -> str | None:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OSError, OverflowError, ValueError):
        return None


_helpers: set[int] = set()


def count_in(pid: int) -> None:
    """From now on process `pid` (the dashboard's small parent) is a part of ebtop's own cost."""
    _helpers.add(pid)


def self_usage(root: str = "/proc") -> SelfUsage:
    """CPU time and resident memory of this process and of its helpers."""
    cpu_ns = time.process_time_ns()
    rss = _rss_bytes(f"{root}/self/statm")
    for pid in _helpers:
        cpu_ns += _cpu_ns(f"{root}/{pid}/stat")
        helper_rss = _rss_bytes(f"{root}/{pid}/statm")
        if rss is not None and helper_rss is not None:
            rss += helper_rss
    return SelfUsage(cpu_ns, rss)


def _rss_bytes(path: str) -> int | None:
    words = (read_small(path) or b"").split()
    try:
        return _digits(words[1]) * _PAGE_BYTES
    except (IndexError, ValueError):
        return None


def _cpu_ns(path: str) -> int:
    words = (read_small(path) or b"").rpartition(b")")[2].split()
    try:
        return (_digits(words[11]) + _digits(words[12])) * _TICK_NS
    except (IndexError, ValueError):
        return 0
