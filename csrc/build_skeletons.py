# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the way from bpf/*.bpf.c to csrc/skel/*.skel.h: clang, llvm-strip, bpftool.

A skeleton is made anew when it is missing or when the sources have another SHA-256 than the one in
its first line. No program reads registers, so one skeleton serves every little-endian machine. The
sdist carries skeletons, so that an install from it needs none of these tools.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BPF = ROOT / "bpf"
SKELETONS = ROOT / "csrc" / "skel"
TOOLS = ("clang", "llvm-strip", "bpftool")


class ToolMissing(Exception):
    """A tool is not installed; the message says what to install, in three lines."""


def probe_names() -> list[str]:
    return sorted(path.name[: -len(".bpf.c")] for path in BPF.glob("*.bpf.c"))


def sources_sha256() -> str:
    total = hashlib.sha256()
    for path in sorted([*BPF.glob("*.c"), *BPF.glob("*.h")]):
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def skeleton_of(name: str) -> Path:
    return SKELETONS / f"{name}.skel.h"


def build_skeletons(libbpf: Path) -> list[Path]:
    """All skeletons, fresh. `libbpf` is the tree that vendor/libbpf/fetch.py made."""
    first = f"/* made from bpf/ with SHA-256 {sources_sha256()} */\n"
    stale = [n for n in probe_names() if not _is_fresh(skeleton_of(n), first)]
    tools = _find_tools() if stale else {}
    SKELETONS.mkdir(exist_ok=True)
    for name in stale:
        _build(name, first, libbpf, tools)
    return [skeleton_of(name) for name in probe_names()]


def _is_fresh(skeleton: Path, first: str) -> bool:
    try:
        with skeleton.open(encoding="ascii") as file:
            return file.readline() == first
    except OSError:
        return False


def _find_tools() -> dict[str, str]:
    # Debian keeps bpftool in /usr/sbin, which is not on everybody's PATH
    found = {t: shutil.which(t) or shutil.which(t, path="/usr/sbin:/sbin") for t in TOOLS}
    missing = [tool for tool, path in found.items() if not path]
    if missing:
        raise ToolMissing(
            f"cannot compile ebtop's BPF programs: {', '.join(missing)} not found.\n"
            "Debian, Ubuntu: apt-get install clang llvm bpftool   Fedora: dnf install clang llvm"
            " bpftool\nor install from the source distribution, which has them compiled already"
        )
    return {tool: path for tool, path in found.items() if path}


def _system_headers() -> list[str]:
    """Where <asm/types.h> is: Debian keeps it in a folder of the architecture."""
    for compiler in ("cc", "gcc", "clang"):
        if shutil.which(compiler):
            done = subprocess.run(
                [compiler, "-print-multiarch"], capture_output=True, text=True, check=False
            )
            folder = Path("/usr/include") / done.stdout.strip()
            if done.stdout.strip() and folder.is_dir():
                return ["-idirafter", str(folder)]
    return []


def _build(name: str, first: str, libbpf: Path, tools: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        compiled = str(Path(folder) / f"{name}.bpf.o")
        _run(
            tools["clang"], "-g", "-O2", "-Wall", "-Werror", "-target", "bpf",
            # 5.10 lacks what later instruction sets use
            "-mcpu=v2", f"-fdebug-prefix-map={ROOT}=.",
            f"-I{BPF}", f"-I{libbpf}", f"-I{libbpf / 'include' / 'uapi'}", *_system_headers(),
            "-c", str(BPF / f"{name}.bpf.c"), "-o", compiled,
        )  # fmt: skip
        _run(tools["llvm-strip"], "-g", compiled)
        text = _run(tools["bpftool"], "gen", "skeleton", compiled, "name", f"{name}_bpf")
    skeleton_of(name).write_text(first + text, "ascii")


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout
