# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what is known of each BPF program after a run over the kernels: whether any of them proved
it, and what it costs their verifiers. How a program is proven is the tests' affair.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

MOST_INSTRUCTIONS = 100_000
_SECTION = 'SEC("?'
_INCLUDED = re.compile(r'^#include "(\w+\.bpf\.h)"$', re.MULTILINE)
_PROGRAM = re.compile(r'SEC\("\?([^"]+)"\)\s*(?:static\s+)?int\s+(?:BPF_\w+\(\s*)?(\w+)')


@dataclass(frozen=True, order=True)
class Program:
    """`object` is the noun of its file."""

    object: str
    name: str
    hook: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.object}: {self.name}"


Proofs = dict[Program, dict[str, Optional[int]]]
"""By program and kernel: the instructions processed; None where the kernel does not tell."""


def declared(folder: Path) -> list[Program]:
    """All that the sources of `folder` define, and the headers they include themselves.

    A program that cannot be read is a ValueError.
    """
    found = []
    for path in sorted(folder.glob("*.bpf.c")):
        text = path.read_text("ascii")
        headers = (folder / name for name in _INCLUDED.findall(text))
        text += "".join(header.read_text("ascii") for header in headers if header.exists())
        here = [Program(path.name.split(".")[0], name, hook)
                for hook, name in _PROGRAM.findall(text)]  # fmt: skip
        if len(here) != text.count(_SECTION):
            raise ValueError(f"{path.name}: {_SECTION} stands where no program is recognized")
        found += here
    return sorted(found)


def proofs(kernels: Iterable[tuple[str, list[dict[str, object]]]]) -> Proofs:
    """What the guests left, by kernel; a program proven in two of its guests counts its worst."""
    found: Proofs = {}
    for kernel, lines in kernels:
        for line in lines:
            program = Program(str(line["object"]), str(line["program"]))
            count = line.get("instructions")
            known = found.setdefault(program, {})
            if isinstance(count, int):
                known[kernel] = max(count, known.get(kernel) or 0)
            else:
                known.setdefault(kernel, None)
    return found


def wrong(programs: list[Program], proven: Proofs, whole: bool) -> Iterator[str]:
    """A line for each; that nobody proved a program can be said only after a `whole` run."""
    for program in programs if whole else ():
        if program not in proven:
            yield f"{program} ({program.hook}): no kernel proved this program"
    for program, counts in sorted(proven.items()):
        if program not in programs:
            yield f"{program}: proven, but bpf/ has no such program"
        for kernel, count in counts.items():
            if count is not None and count > MOST_INSTRUCTIONS:
                yield f"{program}: {count} instructions for the verifier of {kernel}," \
                    f" at most {MOST_INSTRUCTIONS} are allowed"  # fmt: skip


def rows(programs: list[Program], proven: Proofs, kernels: list[str]) -> Iterator[list[str]]:
    """For a table: program, hook, and a column a kernel. `-`: not proven there; `yes`: not told."""
    for program in programs:
        counts = proven.get(program, {})
        cells = [
            "-" if kernel not in counts else "yes" if counts[kernel] is None
            else f"{counts[kernel]:,}" for kernel in kernels
        ]  # fmt: skip
        yield [str(program), program.hook, *cells]
