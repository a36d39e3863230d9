# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns how ebtop/model/syscalldata.py is made: from the kernel headers of Debian's linux-libc-dev.

    apt-get download linux-libc-dev    # 6.12 or newer: one package with every architecture
    python3 tests/tools/make_syscalldata.py linux-libc-dev_*.deb > ebtop/model/syscalldata.py

Run by hand, when a kernel has got new system calls. What a call is about is not in the headers:
a new name needs a place in ebtop/model/syscallcategories.py, and a unit test says so.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

HEADERS = {
    "x86_64": "x86/asm/unistd_64.h",
    "i386": "x86/asm/unistd_32.h",
    "aarch64": "arm64/asm/unistd_64.h",
    "arm": "arm/asm/unistd-eabi.h",
}
DEFINED = re.compile(r"#define __NR_(\w+)\s+(?:\(__NR_SYSCALL_BASE \+ )?(\d+)\)?$", re.MULTILINE)
HEAD = '''\
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the names of the system calls by number; made by tests/tools/make_syscalldata.py.

Source: the kernel's UAPI headers in Debian's {source}:
{headers}.
A number in a string is that of the name behind it; the names after that count up.
"""

from __future__ import annotations

SOURCE = "{source}"
'''


def numbered(header: str) -> dict[int, str]:
    """Number to name, as the header defines them."""
    return {int(number): name for name, number in DEFINED.findall(header)}


def words(names: dict[int, str]) -> list[str]:
    """The names in order of number; where numbers are left out, the next number comes first."""
    text, expected = [], 0
    for number, name in sorted(names.items()):
        if number != expected:
            text.append(str(number))
        text.append(name)
        expected = number + 1
    return text


def module(package: Path) -> str:
    """The text of the generated module."""
    name, version = package.name.split("_")[:2]
    parts = [HEAD.format(source=f"{name} {version}", headers=", ".join(HEADERS.values()))]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["dpkg-deb", "-x", str(package), folder], check=True)
        for architecture, path in HEADERS.items():
            names = numbered((Path(folder) / "usr/lib/linux/uapi" / path).read_text())
            lines = textwrap.fill(" ".join(words(names)), 99, break_on_hyphens=False)
            parts.append(f'{architecture.upper()} = """\\\n{lines}"""\n')
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(module(Path(sys.argv[1])))
