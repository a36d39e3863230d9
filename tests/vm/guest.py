# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns what runs in a guest: ebtop's report on the kernel, then the tests. It judges nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS.parent)]
from results import FOLDER, fact  # noqa: E402
from running import command  # noqa: E402

from ebtop.probes import CHOOSABLE  # noqa: E402

LIMIT_SECONDS = 60


def main() -> int:
    fact("kernel", os.uname().version)
    try:
        _examine()
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"guest: no report on this kernel: {error}", flush=True)
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *sys.argv[1:]]
    os.execv(sys.executable, pytest)


def _examine() -> None:
    """Every probe that can be asked for is, those too that run only on demand."""
    doctor = command("doctor", "--json", "--probes", ",".join(CHOOSABLE))
    done = subprocess.run(doctor, capture_output=True, timeout=LIMIT_SECONDS, check=True)
    json.loads(done.stdout)
    if FOLDER is not None:
        (FOLDER / "doctor.json").write_bytes(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
