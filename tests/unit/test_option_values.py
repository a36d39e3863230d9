# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Whatever is written after any option of any command: it is understood, and then fits where it
goes, or one line says no with status 2. Never anything else."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebtop import cli
from ebtop.errors import UsageError
from ebtop.options import commandline, run, streams
from ebtop.options.commandline import parse
from ebtop.options.options import COMMANDS, Options, Parser
from ebtop.options.values import MOST_SIDE
from ebtop.sources.bpf import ffi

NASTY = (
    "", "-", "--", "---", "0", "-0", "+1", "1_0", " 1", "1 ", "1\n", "nan", "NaN", "inf", "-inf",
    "1e999", "-1e999", "1e-999", "1e5", ".", "1.", ".5", "0x10", "٣", "３", "²", "१ms", "1e٣",
    "9" * 19, "9" * 20, "9" * 5000, "-" + "9" * 30, "9" * 15 + "G", "8589934591G", "8589934592G",
    "18446744073709551615", "18446744073709551616", "4294967295", "4294967296", "1K", "64K", "1g",
    "1x1", "1000x1000", "1001x1", "1x", "x", "x1", "1x1x1", "1,", ",", ",1", "1,1", "5ms", "5µs",
    "5µsµs", "1000000001s", "1e9s", "cpu", "-cpu", "root", "none", "all", "\x00", "\x1b[2J",
    "\udcff", "=", "a=b", "pid=", "pid=1", "uid=4294967295", "min_size=" + "9" * 18 + "G",
)  # fmt: skip
WORDS = st.one_of(
    st.sampled_from(NASTY),
    st.text(max_size=30),
    st.integers(-(1 << 80), 1 << 80).map(str),
    st.floats().map(str),
    st.tuples(st.floats(), st.sampled_from(("ns", "us", "ms", "s", "K", "M", "G", "%"))).map(
        lambda pair: f"{pair[0]}{pair[1]}"
    ),
    st.from_regex(r"[0-9]{1,25}[kKmMgGtT]?", fullmatch=True),
)
OFTEN = settings(max_examples=20, deadline=2000)


def parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield "", commandline._parser()
    for command, (describe, _) in streams._COMMANDS.items():
        parser = Parser(prog=command)
        describe(parser)
        yield command, parser
    parser = Parser(prog="run")
    run._describe(parser)
    yield "run", parser


def valued() -> Iterator[tuple[str, str]]:
    """Every option that takes a value, with its command."""
    for command, parser in parsers():
        for action in parser._actions:
            if action.nargs is None and action.option_strings and action.const is None:
                yield command, action.option_strings[-1]


REST = {"kprobe": ["vfs_read"], "run": ["--", "true"], "set": ["none"]}
CASES = sorted(set(valued()))


def test_every_command_has_options_that_are_tried() -> None:
    assert {command for command, _ in CASES} >= {*COMMANDS, ""} - {"doctor", "diff"}
    assert len(CASES) > 60


def understood(words: list[str]) -> Options | None:
    """What it comes to; None where one line says no."""
    try:
        return parse(words)
    except UsageError as error:
        text = str(error)
        assert text and "\n" not in text and len(text) < 2000 and text.isprintable()
        return None
    except SystemExit:  # --help, --version
        return None


def assert_fits(asked: Options) -> None:
    config = ffi.new("struct ebtop_config *")
    config.min_latency_ns, config.min_bytes = asked.min_latency_ns, asked.min_bytes
    config.port = asked.port or 0
    config.pid = max((*asked.pids, asked.instance or 0))
    assert 0 <= asked.buffer_bytes <= 1 << 30
    for seconds in (asked.min_delay_s, asked.max_delay_s, asked.duration_s or 1.0):
        assert 0 < seconds <= 86400
    assert 0 < asked.budget_percent <= 100
    assert 1 <= (asked.limit or 1) < 1 << 31 and 1 <= (asked.iterations or 1) < 1 << 31
    assert all(1 <= side <= MOST_SIDE for side in asked.size or ())
    assert all(isinstance(word, str) for word in (asked.sort, asked.color, asked.source))
    for one in dataclasses.fields(asked):
        assert getattr(asked, one.name) != [], one.name


@pytest.mark.parametrize(("command", "option"), CASES, ids=lambda word: word or "samples")
@pytest.mark.parametrize("apart", [True, False], ids=["apart", "joined"])
@OFTEN
@given(value=WORDS)
def test_any_value_is_understood_or_refused_in_one_line(
    command: str, option: str, apart: bool, value: str
) -> None:
    told = [option, value] if apart else [f"{option}={value}"]
    words = [command] if command else []
    with contextlib.redirect_stdout(io.StringIO()):
        asked = understood([*words, *told, *REST.get(command, [])])
    if asked is not None:
        assert_fits(asked)


@pytest.mark.parametrize("command", ["", *COMMANDS])
@OFTEN
@given(values=st.lists(WORDS, max_size=4))
def test_any_words_after_any_command(command: str, values: list[str]) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        asked = understood([*([command] if command else []), *values])
    if asked is not None:
        assert_fits(asked)


@pytest.mark.parametrize(
    "words",
    [
        ["-s", "--"], ["--sort=--"], ["mem", "--min-size", "999999999999999G"], ["-d", "٣"],
        ["-d", "1e999"], ["-d", "nan"], ["--budget", "٣"], ["open", "--min-latency", "٣ms"],
        ["-n", "9" * 30], ["-p", "9" * 5000], ["--size", "65535x65535", "--once"],
        ["set", "min_size=" + "9" * 15 + "G"], ["--buffer-size", "9" * 20 + "G"],
    ],
    ids=lambda words: " ".join(words)[:40],
)  # fmt: skip
def test_main_says_no_with_status_2(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2
    out, err = capfd.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and len(err) < 400
