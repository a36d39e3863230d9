# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what a guest leaves for the machine that started it: JSON lines in the folder
$EBTOP_RESULTS. Elsewhere nothing is left. What the lines amount to is decided in tests/vm.

    began.jsonl      {"test"}: when a guest is lost, the last one says where
    report.jsonl     one a test, by conftest.py
    failures.jsonl   {"test", "text"}: what a failed one said, all that a lost guest leaves of it
    spared.jsonl     {"test", "reason"}: left out of this guest for want of time
    programs.jsonl   {"program", "object", "instructions"}: loaded, attached, and counted right
    facts.jsonl      {"fact", "value"}: what docs/kernels.md shall say of this kernel
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Optional

FOLDER = Path(os.environ["EBTOP_RESULTS"]) if os.environ.get("EBTOP_RESULTS") else None


def leave(name: str, **line: object) -> None:
    """Written at once, since the guest may be lost."""
    if FOLDER is not None:
        with (FOLDER / f"{name}.jsonl").open("a", encoding="ascii") as file:
            file.write(json.dumps(line) + "\n")


def proven(object: str, program: str, instructions: Optional[int]) -> None:
    """`object` is bpf/<object>.bpf.c; `instructions` what its verifier processed."""
    leave("programs", program=program, object=object, instructions=instructions)


def fact(what: str, value: object) -> None:
    leave("facts", fact=what, value=str(value))
