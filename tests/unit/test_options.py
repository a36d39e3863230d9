# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Every wrong argument is named in one line that says what is allowed."""

from __future__ import annotations

import random

import pytest

from ebtop.errors import UsageError
from ebtop.options.commandline import NOT_YET, parse
from ebtop.options.options import Options


def test_nothing_said_is_the_dashboard():
    assert parse([]) == Options()


def test_everything_said_is_kept():
    words = (
        "--json -d 0.5 -n 3 -p 1,2 -p 3 -u root -c sh -s -rss --limit 5 -H --tree --cumulative"
        " --probes sched,life --no-probes life --color never --ascii --debug --source bpf"
        " --buffer-size 8M --budget 0.5"
    )
    asked = parse(words.split())
    assert asked == Options(
        command="json", delay_s=0.5, iterations=3, pids=(1, 2, 3), user="root", comm="sh",
        sort="rss", ascending=True, limit=5, threads=True, tree=True, cumulative=True,
        probes=("sched",), color="never", ascii=True, debug=True, source="bpf",
        buffer_bytes=8 << 20, named=("sched", "life"), budget_percent=0.5,
    )  # fmt: skip


@pytest.mark.parametrize("words", ["-s -rss", "--sort -rss", "--sort=-rss", "-s-rss"])
def test_ascending_sort_in_every_spelling(words):
    asked = parse(words.split())
    assert (asked.sort, asked.ascending) == ("rss", True)


def test_size_of_one_frame():
    assert parse(["--once", "--size", "160x50"]).size == (160, 50)


def test_bounds_make_room_for_the_delay():
    assert (parse(["-d", "0.05"]).min_delay_s, parse(["-d", "60"]).max_delay_s) == (0.05, 60)


WRONG = {
    "-d 0": "0.01 to 86400",
    "-d -1": "0.01 to 86400",
    "-d nan": "seconds",
    "-d inf": "seconds",
    "-d 1e99": "seconds",
    "-d 1_0": "seconds",
    "-d": "-d/--delay",
    "-d 1 --min-delay 2": "--min-delay 2",
    "-d 5 --max-delay 2": "--max-delay 2",
    "--min-delay 5 --max-delay 2": "--min-delay 5",
    "-n 0": "from 1",
    "-n 1.5": "whole number",
    "-n ٣": "whole number",
    "--limit -4": "--limit",
    "-p 1,,2": "a pid",
    "-p 0": "a pid",
    "-p 99999999": "a pid",
    "-p x": "a pid",
    "--probes sched,bogus": "sched, life, tasks",
    "--no-probes sched,life,tasks,syscall,block,vfs,tcp,stacks,mem": "--source proc",
    "--source x": "'auto', 'bpf', 'proc'",
    "--color x": "'auto', 'always', 'never'",
    "-s -": "a column",
    "--size 10x10": "--once",
    "--once --size 10": "160x50",
    "--once --size 0x5": "from 1 to 1000",
    "--once --size 9999x5": "from 1 to 1000",
    "--json --batch": "exclude",
    "--once --json": "exclude",
    "--cumul": "--cumul",
    "--bogus": "--bogus",
    "--port 0": "a port from 1 to 65535",
    "--budget 0": "from 0.01 to 100",
    "--budget x": "from 0.01 to 100",
    "bogus": "doctor",
    "doctor more": "'more'",
    "doctor --batch": "--batch",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_usage_is_named(words):
    with pytest.raises(UsageError) as error:
        parse(words.split())
    message = str(error.value)
    assert WRONG[words] in message
    assert "\n" not in message and message.isprintable()


@pytest.mark.parametrize("name", NOT_YET)
def test_commands_of_later_say_so(name):
    with pytest.raises(UsageError, match="does not exist yet"):
        parse([name])


@pytest.mark.parametrize(
    "words", [["\x1b[2Jx"], ["-d", "\x1b]0;x\x07"], ["--\x1bx"], ["-p", "\u202e"]]
)
def test_hostile_arguments_are_shown_harmlessly(words):
    with pytest.raises(UsageError) as error:
        parse(words)
    assert str(error.value).isprintable()


def test_random_command_lines_are_parsed_or_refused_in_one_line():
    rng = random.Random(4)
    options = "-d -n -p -s -H --json -b --once --size --probes --limit -u -c -- - ="
    pieces = [*options.split(),
              "1", "0", "1x1", "sched", "doctor", "\udcff", "", "é", "-1", "9" * 400]  # fmt: skip
    for _ in range(2000):
        try:
            parse([rng.choice(pieces) for _ in range(rng.randrange(6))])
        except UsageError as error:
            assert "\n" not in str(error)
        except SystemExit:
            raise AssertionError("an end that is not an error") from None
