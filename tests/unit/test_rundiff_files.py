# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""`diff` reads strangers' files: it compares them, or says in one line, with status 2, that they
are no reports; whatever is in them, soon and without taking much memory."""

from __future__ import annotations

import json
import resource
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running import command, ebtop

GOOD = {"type": "run", "duration_ns": 7, "total": {"oncpu_ns": 5}, "syscalls": []}


def refused(path: str, timeout: float = 30) -> str:
    done = ebtop("diff", path, path, timeout=timeout)
    assert (done.returncode, done.stdout) == (2, b""), done
    (line,) = done.stderr.decode().splitlines()
    return line


@pytest.mark.parametrize(
    "figure",
    ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 25, "9" * 5000, "9" * 200000],
    ids=lambda word: word[:12],
)
def test_what_is_no_figure_is_refused(tmp_path: Path, figure: str) -> None:
    path = tmp_path / "report"
    path.write_text(json.dumps(GOOD).replace("7", figure, 1))
    assert "is not JSON" in refused(str(path))


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/proc/self/mem"])
def test_devices_are_no_reports(path: str) -> None:
    done = ebtop("diff", path, path, timeout=10)
    assert done.returncode in (1, 2) and done.stdout == b""
    assert len(done.stderr.splitlines()) == 1 and b"failed" not in done.stderr


@pytest.mark.parametrize(
    ("beginning", "piece"),
    [("{", "     "), ('{"a": [', "[],"), ('{"a":', "["), ('{"a": "', "x"), ("{", '"a": 0,')],
    ids=["blanks", "lists", "depth", "text", "keys"],
)
def test_what_has_no_end_is_refused_in_bounded_memory(beginning: str, piece: str) -> None:
    code = (
        "import sys\nsys.stdout.write(sys.argv[1])\n"
        "try:\n while True: sys.stdout.write(sys.argv[2] * 100000)\n"
        "except BrokenPipeError: pass\n"
    )
    words = ["python3", "-c", code, beginning, piece]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as writer:
        assert writer.stdout is not None
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        done = subprocess.run(
            command("diff", "/dev/stdin", "/dev/null"),
            stdin=writer.stdout, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        writer.stdout.close()
        writer.kill()
    assert (done.returncode, done.stdout) == (2, b""), done.stderr
    assert len(done.stderr.splitlines()) == 1
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert peak <= max(before, 3 << 20), f"{peak} KiB"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), 1 << 64) | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)  # fmt: skip
NAMES = st.sampled_from(("duration_ns", "total", "syscalls", "machine", "oncpu_ns", "type"))
REPORTS = st.dictionaries(NAMES, VALUES | st.dictionaries(NAMES, VALUES)).map(
    lambda report: {**report, "type": "run"}
)


@settings(
    max_examples=100, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(before=REPORTS, after=REPORTS, as_json=st.booleans())
def test_any_two_reports_can_be_compared(
    tmp_path: Path, before: Any, after: Any, as_json: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    from ebtop import cli

    names = []
    for name, report in (("before", before), ("after", after)):
        (tmp_path / name).write_text(json.dumps(report))
        names.append(str(tmp_path / name))
    limits = resource.getrlimit(resource.RLIMIT_AS)
    try:
        assert cli.main(["diff", *(["--json"] if as_json else []), *names]) == 0
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    out = capfd.readouterr().out
    if as_json:
        json.loads(out, parse_constant=pytest.fail)
