# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what the pages promise of the tree: each file that they name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = "bpf|csrc|ebtop|tests|docs|vendor"
MADE = ("csrc/skel", "vendor/libbpf/tree")
"""What a build makes."""


def named(page: Path) -> set[str]:
    """The paths from the root of the tree in code spans, patterns included."""
    spans = re.findall(r"`([^`\n]+)`", page.read_text("utf-8"))
    words = {word for span in spans for word in span.split()}
    paths = {word for word in words if re.fullmatch(rf"(?:{FOLDERS})/[\w./*-]*", word)}
    return {path for path in paths if not path.startswith(MADE)}


def linked(page: Path) -> set[str]:
    return set(re.findall(r"\]\(([\w./-]+\.md)\)", page.read_text("utf-8")))


every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@every_page
def test_files_that_a_page_names_are_there(page: Path) -> None:
    assert not [path for path in named(page) if not list(ROOT.glob(path))]


@every_page
def test_pages_that_a_page_links_to_are_there(page: Path) -> None:
    assert not [path for path in linked(page) if not (page.parent / path).exists()]


def test_the_map_names_files() -> None:
    assert len(named(ROOT / "docs" / "architecture.md")) > 30
