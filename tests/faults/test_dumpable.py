# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Nobody gets in where the kernel lets be traced who has changed its user: fs.suid_dumpable=1."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from observe import allowed
from running import TREE
from trespassing import OTHER, WAYS, attackers, dashboard, start

pytestmark = pytest.mark.setting("plain")
DUMPABLE = Path("/proc/sys/fs/suid_dumpable")
every_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture(autouse=True)
def dumpable() -> Iterator[None]:
    before = DUMPABLE.read_text()
    DUMPABLE.write_text("1")
    yield
    DUMPABLE.write_text(before)


@every_way
@pytest.mark.parametrize("source", ["bpf", "proc"])
def test_nobody_gets_into_a_command(way: str, source: str) -> None:
    environment, user = WAYS[way]
    with attackers(user, OTHER) as tries:
        words = ("--json", "-n", "2", "-d", "0.2", "--source", source)
        process = start(*words, environment=environment)
        assert process.wait(allowed(30)) == 0
    assert process.pid in tries.met and not tries.into_ebtop(ending=source == "proc")


@every_way
def test_nobody_gets_into_the_dashboard(way: str) -> None:
    begins = f"import sys; sys.path.insert(0, {str(TREE)!r}); from ebtop.cli import main;"
    dashboard(*WAYS[way], begins + "sys.exit(main())")
