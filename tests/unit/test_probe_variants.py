# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The table of probes names only programs that its objects have. No kernel is needed: some variants
no test machine can attach, and a name that is wrong there would look like a kernel's refusal."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path.append(str(TESTS / "vm"))
import programs  # noqa: E402

from ebtop.probes import NAMES as PROBES  # noqa: E402
from ebtop.sources.bpf import variants  # noqa: E402

DECLARED = programs.declared(TESTS.parent / "bpf")
LONGEST_NAME = 15
"""The kernel cuts what is longer, and tells the rest to nobody."""


@pytest.mark.parametrize("probe", [probe for probe in PROBES if variants(probe)])
def test_every_variant_is_made_of_programs_of_its_object(probe: str) -> None:
    own = {program.name for program in DECLARED if program.object == probe}
    named = {name for variant in variants(probe) for name in variant}
    assert named == own


def test_no_name_of_a_program_is_longer_than_the_kernel_keeps() -> None:
    assert DECLARED
    assert [p for p in DECLARED if len(p.name) > LONGEST_NAME] == []
