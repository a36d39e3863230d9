# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the option that records golden screens anew: `pytest --record-screens`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-screens", action="store_true", help="record golden screens anew")


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The event log shows local time."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with the recorded one of that name, or records it."""
    record = request.config.getoption("--record-screens", default=False)
    record = record or os.environ.get("EBTOP_RECORD_SCREENS") == "1"

    def check(name: str, text: str) -> None:
        path = GOLDEN / f"{name}.txt"
        if record:
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"no golden screen {name}; record it with `make screens`"
        assert text == path.read_text(encoding="utf-8")

    return check
