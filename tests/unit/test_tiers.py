# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The tiers' own promise: a machine that should run the live tier cannot pass by skipping it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
PASSES = "def test_it():\n    pass\n"
SKIPS = "import pytest\ndef test_it():\n    pytest.skip('no such hook')\n"
SKIPS_WHOLE = "import pytest\npytest.skip('no such hook', allow_module_level=True)\n"


FAULTS = """if True:
    import pytest
    @pytest.mark.setting("small")
    def test_small(): pass
    @pytest.mark.setting("small", "hotplug")
    def test_both(): pass
    @pytest.mark.setting("hotplug")
    def test_other(): assert False
"""


def run(
    root: Path, forced: bool, guest: dict[str, str] | None = None, **tiers: str
) -> subprocess.CompletedProcess[str]:
    """pytest in a tree of its own, with one test file in each of the tiers named."""
    settings = '[tool.pytest.ini_options]\ntestpaths = ["tests"]\n'
    (root / "pyproject.toml").write_text(settings, "ascii")
    (root / "tests").mkdir()
    for name in ("conftest.py", "support/results.py"):
        shutil.copy(TESTS / name, root / "tests")
    for tier, text in tiers.items():
        (root / "tests" / tier).mkdir()
        (root / "tests" / tier / f"test_{tier}.py").write_text(text, "ascii")
    environment = {**os.environ, "EBTOP_LIVE": "1" if forced else "0"}
    environment.pop("EBTOP_VM_SETTING", None)
    environment.update(guest or {})
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=root, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("live", [SKIPS, SKIPS_WHOLE])
def test_a_skip_is_told_and_fails_only_a_forced_run(tmp_path: Path, live: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    free = run(tmp_path / "a", False, unit=PASSES, screens=PASSES, live=live)
    assert free.returncode == 0
    assert "live:    1 skipped (" in free.stdout
    forced = run(tmp_path / "b", True, unit=PASSES, screens=PASSES, live=live)
    assert forced.returncode != 0
    assert "skipped although EBTOP_LIVE=1: " in forced.stdout


def test_a_forced_run_fails_when_a_tier_ran_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, True, unit=PASSES, live=PASSES)
    assert done.returncode == 1
    assert "screens: nothing ran - but it should have run on this machine" in done.stdout


def test_a_forced_run_of_everything_passes(tmp_path: Path) -> None:
    done = run(tmp_path, True, unit=PASSES, screens=PASSES, live=PASSES)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("=")


def test_faults_are_made_only_in_a_guest_booted_for_them(tmp_path: Path) -> None:
    tiers = {"unit": PASSES, "screens": PASSES, "live": PASSES, "faults": FAULTS}
    (tmp_path / "host").mkdir()
    (tmp_path / "guest").mkdir()
    host = run(tmp_path / "host", True, **tiers)
    assert host.returncode == 0
    assert "faults:  3 skipped (only in a guest" in host.stdout
    setting = {"EBTOP_VM": "1", "EBTOP_VM_SETTING": "small"}
    guest = run(tmp_path / "guest", True, setting, **tiers)
    assert guest.returncode == 0
    assert "faults:  2 passed" in guest.stdout


LONG = """if True:
    import pytest
    @pytest.mark.long("it takes a minute")
    def test_long(): pass
    def test_short(): pass
"""


@pytest.mark.parametrize(("setting", "passed"), [("standard", 2), ("brief", 1)])
def test_a_long_test_is_left_out_of_brief_guests_only_and_told(
    tmp_path: Path, setting: str, passed: int
) -> None:
    left = tmp_path / "left"
    left.mkdir()
    guest = {"EBTOP_VM": "1", "EBTOP_VM_SETTING": setting, "EBTOP_RESULTS": str(left)}
    done = run(tmp_path, False, guest, live=LONG)
    assert f"{passed} passed" in done.stdout
    spared = left / "spared.jsonl"
    assert spared.exists() == (setting == "brief")
    assert setting != "brief" or '"reason": "it takes a minute"' in spared.read_text()
