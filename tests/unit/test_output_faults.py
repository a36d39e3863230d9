# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Whatever happens to the output, the end is quiet or one line, never a traceback."""

from __future__ import annotations

import os
import subprocess

import pytest
from running import command, ebtop

MODES = {
    "json": ["--json", "-d", "0.1", "-n", "5", "--source", "proc"],
    "batch": ["-b", "-d", "0.1", "-n", "5", "--source", "proc"],
    "once": ["--once", "-d", "0.1", "--source", "proc"],
    "help": ["--help"],
    "version": ["--version"],
    "doctor": ["doctor"],
    "doctor-json": ["doctor", "--json"],
}
every_mode = pytest.mark.parametrize("mode", MODES)


@every_mode
def test_a_full_disk_is_one_line_and_status_1(mode):
    with open("/dev/full", "wb") as full:
        done = ebtop(*MODES[mode], stdout=full)
    assert done.returncode == 1
    assert done.stderr == b"ebtop: cannot write the output: No space left on device\n"


@every_mode
def test_a_closed_pipe_ends_quietly(mode):
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    done = ebtop(*MODES[mode], stdout=write_fd)
    os.close(write_fd)
    assert (done.returncode, done.stderr) == (0, b"")


def test_head_takes_one_line_and_the_rest_ends():
    with subprocess.Popen(
        command("--json", "-d", "0.1", "--source", "proc"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        assert child.stdout.readline().endswith(b"}\n")
        child.stdout.close()
        assert child.wait(timeout=10) == 0
        assert child.stderr.read() == b""


@every_mode
def test_a_closed_standard_output_is_one_line(mode):
    done = ebtop(*MODES[mode], stdout=None, preexec_fn=lambda: os.close(1))
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1 and b"Traceback" not in done.stderr


@every_mode
def test_a_closed_standard_error_changes_nothing(mode):
    done = ebtop(*MODES[mode], stderr=None, preexec_fn=lambda: os.close(2))
    assert done.returncode == 0 and done.stdout


@every_mode
def test_few_descriptors_are_enough(mode):
    import resource

    done = ebtop(
        *MODES[mode], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    )
    assert done.returncode == 0, done.stderr
