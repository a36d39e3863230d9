# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what cffi is told: the definitions that Python sees, and how the extension is compiled.

The definitions are bpf/abi.h and the part of csrc/ebtop.h between its `cdef` marks, both without
what cffi's parser does not read. `ffi` is what setup.py hands to cffi.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent.parent
ELF = ROOT / "csrc" / "loader" / "elf"
FOLDERS = ("", "util", "shared", "loader", "accounts", "rows", "probes")  # of csrc; skel is made
sys.path[:0] = [str(ROOT / "csrc"), str(ROOT / "vendor" / "libbpf")]

from build_skeletons import build_skeletons  # noqa: E402 - its folder was just added
from fetch import fetch  # noqa: E402

TYPES = """
typedef unsigned long long __u64;
typedef long long __s64;
typedef unsigned int __u32;
typedef int __s32;
"""
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wvla", "-Wstrict-prototypes"]
# csrc/loader/kernelbtf.c stands in for these functions of libbpf, where it is built
WRAPPED = ["btf__load_vmlinux_btf", "btf__find_by_name_kind", "bpf_btf_get_next_id"]
LEAN = ["-fvisibility=hidden", "-ffunction-sections", "-fdata-sections"]


def cdef_text() -> str:
    """What Python may see of the headers."""
    abi = (ROOT / "bpf" / "abi.h").read_text("ascii")
    api = (ROOT / "csrc" / "ebtop.h").read_text("ascii")
    api = api.split("/* cdef */")[1].split("/* end of cdef */")[0]
    text = re.sub(r"/\*.*?\*/", "", abi + api, flags=re.DOTALL)
    text = re.sub(r"^#(ifndef|endif|include|define EBTOP_ABI_H)\b.*$", "", text, flags=re.M)
    return TYPES + text


def relative(paths: list[Path]) -> list[str]:
    """Setuptools wants sources relative to setup.py."""
    return [str(path.relative_to(ROOT)) for path in paths]


def plain_loader() -> bool:
    """Whether probes are to be loaded by libbpf alone (csrc/loader/plain.c)."""
    return os.environ.get("EBTOP_PLAIN_LOADER") == "1"


def own_files(pattern: str) -> list[Path]:
    """Of csrc, less the files of the loader that is not built."""
    found = [path for folder in FOLDERS for path in (ROOT / "csrc" / folder).glob(pattern)]
    plain = ROOT / "csrc" / "loader" / "plain.c"
    unused = {p for p in plain.parent.glob("*.c") if (p == plain) != plain_loader()}
    return [path for path in found if path not in unused]


def libbpf_library() -> tuple[str, dict[str, object]]:
    """libbpf as a static library: compiled once, not with every change of ours.

    All but linker.c, which only bpftool needs. An empty LIBBPF_API keeps its symbols inside. In
    place of libelf and zlib it gets csrc/loader/elf/, so that servers need neither.
    """
    tree = fetch()
    sources = sorted(p for p in (tree / "bpf").glob("*.c") if p.name != "linker.c")
    sources.append(ELF / "elf_image.c")
    macros = [("_GNU_SOURCE", None), ("_LARGEFILE64_SOURCE", None)]
    macros += [("_FILE_OFFSET_BITS", "64"), ("LIBBPF_API", "")]
    folders = [ELF, tree / "bpf", tree / "include", tree / "include" / "uapi"]
    build = {
        "sources": relative(sources),
        "macros": macros,
        "include_dirs": relative(folders),
        "cflags": [*LEAN, "-O2", "-g0", "-fPIC", "-w", "-Werror=implicit-function-declaration"],
        "obj_deps": {"": relative([ROOT / "vendor" / "libbpf" / "PIN", *ELF.glob("*.h")])},
    }
    return "bpf", build


def for_tests() -> bool:
    """Whether the extension is to look at the switches of tests (csrc/util/testing.h)."""
    return os.environ.get("EBTOP_FOR_TESTS") == "1"


def make_ffi() -> FFI:
    tree = fetch()
    skeletons = build_skeletons(tree)
    headers = [*own_files("*.h"), ROOT / "bpf" / "abi.h", *skeletons]
    linked = [*ELF.iterdir(), ROOT / "vendor" / "libbpf" / "PIN", Path(__file__).resolve()]
    macros = [("_GNU_SOURCE", None), ("_FILE_OFFSET_BITS", "64"), ("LIBBPF_API", "")]
    macros += [("EBTOP_FOR_TESTS", None)] * for_tests()
    wraps = [] if plain_loader() else [f"-Wl,--wrap={name}" for name in WRAPPED]
    kind = ", plain loader" if plain_loader() else ""
    ffi = FFI()
    ffi.cdef(cdef_text())
    ffi.set_source(
        "ebtop._core",
        # the kind of build is in its text, for setuptools compiles anew what has another one
        f'#include "ebtop.h"\n/* for {"tests" if for_tests() else "users"}{kind} */\n',
        sources=relative(sorted(own_files("*.c"))),
        # without these setuptools would keep a stale extension
        depends=relative(headers + linked),
        include_dirs=["csrc", "bpf", *relative([tree, tree / "include" / "uapi"])],
        define_macros=macros,
        extra_compile_args=["-std=gnu11", "-O2", "-g0", *WARNINGS, *LEAN],
        # what is called is found at the start: later standby.c has no memory to look in
        extra_link_args=["-pthread", "-Wl,--gc-sections,-z,now", *wraps],
        py_limited_api=limited_api(),
    )
    return ffi


def limited_api() -> bool:
    """Whether one extension can serve all CPythons: PyPy and free-threaded builds have no abi3."""
    import sysconfig

    return sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")


if __name__ != "__main__":
    ffi = make_ffi()
