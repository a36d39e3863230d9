# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The reader of ELF images in memory: right on a whole one, safe on 100,000 broken ones."""

from __future__ import annotations

import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ELF = HERE.parents[1] / "csrc" / "loader" / "elf"


def test_broken_images_are_refused_or_read_inside_their_bounds(tmp_path: Path) -> None:
    victim = tmp_path / "victim.c"
    victim.write_text('int answer = 42; const char name[] = "text"; int f(int x) { return x; }\n')
    subprocess.run(["cc", "-g", "-c", str(victim), "-o", str(tmp_path / "victim.o")], check=True)
    fuzz = tmp_path / "fuzz"
    subprocess.run(
        ["cc", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{ELF}",
         str(HERE / "elf_fuzz.c"), str(ELF / "elf_image.c"), "-o", str(fuzz)],
        check=True,
    )  # fmt: skip
    done = subprocess.run(
        [str(fuzz), str(tmp_path / "victim.o"), "100000"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0
