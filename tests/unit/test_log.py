# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""The log: levels, its file, what `say` says, and the state that SIGUSR1 asks for."""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import synthetic

from ebtop.errors import LOG_LEVELS, EbtopError
from ebtop.options.commandline import parse
from ebtop.options.options import Options
from ebtop.outputs.statedump import StateDump
from ebtop.runtime import log, stdio
from ebtop.runtime.signals import Signals


@pytest.fixture(autouse=True)
def no_log() -> Iterator[None]:
    yield
    log._current = None
    stdio.also_said = None


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


@pytest.mark.parametrize("level", LOG_LEVELS)
def test_a_level_takes_what_is_as_grave_or_graver(tmp_path: Path, level: str) -> None:
    path = tmp_path / "log"
    log.begin(str(path), level)
    for one in LOG_LEVELS:
        log.note(one, one)
    expected = LOG_LEVELS[: LOG_LEVELS.index(level) + 1]
    assert tuple(line["level"] for line in lines(path)) == expected
    assert {line["pid"] for line in lines(path)} == {os.getpid()}


def test_what_is_said_is_in_the_log_too_and_names_are_harmless(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log"
    log.begin(str(path), "warning")
    stdio.say("a\x1b[2Jb\nc")
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and "\x1b" not in said
    (line,) = lines(path)
    assert line["level"] == "warning" and "\x1b" not in line["message"]


def test_a_log_is_appended_to_and_private(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for number in range(2):
        log.begin(str(path), "info")
        log.note("info", str(number))
    assert [line["message"] for line in lines(path)] == ["0", "1"]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "hard link"])
def test_what_is_no_plain_file_of_ones_own_is_refused(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "log", tmp_path / "other"
    other.write_text("kept")
    if kind == "link":
        path.symlink_to(other)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        os.link(other, path)
    with pytest.raises(EbtopError):
        log.begin(str(path), "info")
    assert other.read_text() == "kept"


def test_a_full_disk_ends_the_log_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    log._current = log.Log(os.open("/dev/full", os.O_WRONLY), "info")
    log.note("info", "one")
    log.note("info", "two")
    assert capfd.readouterr().err.count("the log has ended") == 1


def test_of_a_line_that_does_not_fit_nothing_stays(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log.begin(str(path), "debug")
    log.note("info", "first")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, limits[1]))
        log.note("info", "second")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [line["message"] for line in lines(path)] == ["first"]
    log.begin(str(path), "debug")
    log.note("info", "third")
    assert [line["message"] for line in lines(path)] == ["first", "third"]


def test_the_state_goes_to_the_log_whatever_its_level(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log.begin(str(path), "error")
    dump = StateDump(Options(command="dashboard", delay_s=0.5, words=("secret",)))
    assert dump.write()
    dump.remember(synthetic.office())
    assert dump.write()
    first, second = (line["state"] for line in lines(path))
    assert first["probes"] is None and first["options"]["delay_s"] == 0.5
    assert "words" not in first["options"]
    assert second["source"] == "bpf" and second["probes"][0]["name"] == "sched"


def test_without_a_log_the_state_goes_to_standard_error_but_not_over_a_screen(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert StateDump(Options(command="json")).write()
    assert json.loads(capfd.readouterr().err)["type"] == "state"
    assert not StateDump(Options(command="dashboard")).write()
    assert capfd.readouterr().err == ""


def test_losses_are_warnings_and_changes_of_probes_are_information(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log.begin(str(path), "info")
    dump = StateDump(Options(command="json"))
    for snapshot in (synthetic.office(), synthetic.office()):
        dump.remember(snapshot)
    assert [line["message"] for line in lines(path)] == ["probes"]


def test_the_signal_is_told_where_a_loop_looks_and_ends_nothing() -> None:
    told: list[int] = []
    with Signals() as signals:
        signals.tell_state = lambda: told.append(1)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert not signals.stop_requested
        assert signals.taken() == set() and told == [1]
        signals.hush()
        assert told == [1]


def test_every_command_takes_the_log() -> None:
    for words in ([], ["exec"], ["syscalls"], ["set", "none"], ["selftest"]):
        options = parse([*words, "--log", "x", "--log-level", "debug"])
        assert (options.log, options.log_level) == ("x", "debug")
