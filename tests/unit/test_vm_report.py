# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What is said of a run in guests: no bad end may look like a pass. No guest is needed."""

from __future__ import annotations

import json
from pathlib import Path

import fetch
import image
import kernels
import machine
import page
import programs
import pytest
import report
import settings
from machine import Outcome
from programs import Program
from report import Run

TESTS = Path(__file__).resolve().parents[1]

PASSED = {"test": "t::a", "outcome": "passed", "seconds": 1.0, "reason": ""}
FAILED = {"test": "t::b", "outcome": "failed", "seconds": 1.0, "reason": ""}
SKIPPED = {"test": "t::c", "outcome": "skipped", "seconds": 0.0, "reason": "no second CPU"}


def jsonl(path: Path, lines: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "ascii")


def run_of(
    folder: Path, *tests: dict[str, object], outcome: Outcome | None = None,
    kernel: str = "5.10", setting: str = "standard", version: str = "5.10.0-32-cloud-amd64",
) -> Run:  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    jsonl(folder / "report.jsonl", list(tests))
    return Run(kernels.by_name(kernel), version, settings.by_name(setting),
               outcome or Outcome(0, 61.0, None, ()), folder)  # fmt: skip


def test_all_passed_is_well(tmp_path: Path) -> None:
    assert report.verdict([run_of(tmp_path, PASSED, SKIPPED)]) == []


@pytest.mark.parametrize(
    ("tests", "outcome", "words"),
    [
        ([PASSED, FAILED], Outcome(1, 9.0, None, ()), "FAILED t::b"),
        ([], Outcome(0, 9.0, None, ()), "no test passed"),
        ([SKIPPED], Outcome(0, 9.0, None, ()), "no test passed"),
        ([PASSED], Outcome(2, 9.0, None, ()), "the tests ended with status 2"),
        ([PASSED], Outcome(0, 9.0, None, ("WARNING: CPU: 0",)), "complained: WARNING: CPU: 0"),
        ([PASSED], Outcome(None, 9.0, "it hung", ()), "lost: it hung"),
        ([PASSED], Outcome(137, 9.0, None, (), "Out of memory: Killed process 7"),
         "status 137: Out of memory: Killed process 7"),
    ],
)  # fmt: skip
def test_each_bad_end_has_its_line(
    tmp_path: Path, tests: list[dict[str, object]], outcome: Outcome, words: str
) -> None:
    lines = report.verdict([run_of(tmp_path, *tests, outcome=outcome)])
    assert len(lines) == 1 and words in lines[0]
    assert lines[0].startswith("5.10 standard: ")


def test_a_lost_guest_is_said_with_the_test_that_it_was_at(tmp_path: Path) -> None:
    run = run_of(tmp_path, PASSED, outcome=Outcome(None, 9.0, "it hung", (), hung=True))
    jsonl(tmp_path / "began.jsonl", [{"test": "t::a"}, {"test": "t::b"}])
    (line,) = report.verdict([run])
    assert line == f"5.10 standard: the guest was lost in t::b: it hung (see {tmp_path / 'serial'})"


def test_a_lost_guest_still_tells_which_tests_had_failed_and_why(tmp_path: Path) -> None:
    outcome = Outcome(None, 9.0, "it hung", (), hung=True)
    run = run_of(tmp_path, PASSED, FAILED, outcome=outcome)
    assert report.verdict([run])[1:] == ["5.10 standard: FAILED t::b"]
    jsonl(tmp_path / "failures.jsonl", [{"test": "t::b", "text": "E assert 1 == 2\nfile:3"}])
    (tmp_path / "serial").write_text("\x1b[2Jthe end\n")
    assert report.last_words(run) == ["E assert 1 == 2", "file:3", "the end"]


def test_the_table_tells_why_tests_were_skipped_and_what_was_lost_before(tmp_path: Path) -> None:
    run = run_of(tmp_path, PASSED, SKIPPED)
    again = Run(run.kernel, run.version, run.setting, run.outcome, run.results, "it hung")
    table = report.table([again])
    assert "1 passed, 0 failed, 1 skipped, 61 s" in table
    assert "1 skipped: no second CPU" in table
    assert "the first attempt was lost: it hung" in table


def test_what_was_left_out_is_told(tmp_path: Path) -> None:
    run = run_of(tmp_path, PASSED, setting="brief")
    jsonl(tmp_path / "spared.jsonl", [{"test": "t::z", "reason": "two minutes"}] * 2)
    assert "2 left out: two minutes" in report.table([run])


def test_a_run_that_names_no_setting_leaves_nothing_out() -> None:
    assert settings.by_name("standard") in settings.DEFAULT
    assert settings.by_name("brief") not in settings.DEFAULT


def test_a_torn_last_line_is_passed_over(tmp_path: Path) -> None:
    run = run_of(tmp_path, PASSED)
    with (tmp_path / "report.jsonl").open("a") as file:
        file.write('{"test": "t::d", "outcome": {}')
    assert report.counts(run)["passed"] == 1


def test_what_a_guest_said_last_does_not_clear_the_terminal(tmp_path: Path) -> None:
    run = run_of(tmp_path, outcome=Outcome(None, 9.0, "it hung", ()))
    (tmp_path / "serial").write_text("\x1bc\x1b[?7l\x1b[2J\x1b[0mSeaBIOS\r\n[ 1.0] panic\n")
    assert report.last_words(run) == ["SeaBIOS", "[ 1.0] panic"]


@pytest.mark.parametrize(
    ("serial", "hung", "why"),
    [
        ("[ 1.0] Kernel panic - not syncing: Fatal\n", True, "Kernel panic - not syncing: Fatal"),
        ("[ 9.0] Out of memory: Killed process 7 (python)\n", True, "it ran out of memory: Out of"),
        ("Booting\n", True, "it hung: not done after 60 s"),
        ("guest: no overlay\n", False, "no overlay"),
        ("", False, "it ended without a word"),
    ],
)
def test_a_lost_guest_is_said_in_one_line(serial: str, hung: bool, why: str) -> None:
    said = machine.why_lost(serial, 60.0, hung)
    assert said.startswith(why) and "\n" not in said


@pytest.mark.parametrize(
    "line",
    [
        "WARNING: CPU: 1 PID: 70 at kernel/bpf/verifier.c:1 check()",
        "BUG: kernel NULL pointer dereference, address: 0",
        "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:",
        "rcu: INFO: rcu_preempt self-detected stall on CPU",
        "INFO: task python:70 blocked for more than 120 seconds.",
        "general protection fault, maybe for address 0x0",
        "Oops: 0000 [#1] SMP",
    ],
)
def test_a_kernel_that_complains_is_heard(line: str) -> None:
    assert machine.COMPLAINTS.search(f"[  12.345678] {line}")


@pytest.mark.parametrize(
    "line",
    [
        "Warning: Processor Platform Limit not supported",
        "rcu: Hierarchical RCU implementation.",
        "Debug: nothing",
    ],
)
def test_a_kernel_that_only_talks_is_no_failure(line: str) -> None:
    assert not machine.COMPLAINTS.search(line)


def test_every_program_of_the_sources_is_known() -> None:
    found = programs.declared(TESTS.parent / "bpf")
    assert Program("sched", "switch_btf") in found
    probes = (TESTS.parent / "csrc" / "probes").glob("*.c")
    table = "".join(path.read_text() for path in probes)
    assert [program for program in found if f'"{program.name}"' not in table] == []
    assert {program.hook for program in found if program.object == "tasks"} == {"iter/task"}


def test_a_program_that_cannot_be_read_is_no_program_less(tmp_path: Path) -> None:
    (tmp_path / "x.bpf.c").write_text('SEC("?kprobe/f") PROGRAM(f)\n')
    with pytest.raises(ValueError, match=r"x\.bpf\.c"):
        programs.declared(tmp_path)


def test_programs_of_a_header_are_those_of_who_includes_it(tmp_path: Path) -> None:
    (tmp_path / "x.bpf.c").write_text('#include "y.bpf.h"\nSEC("?kprobe/f") int own(void)\n')
    (tmp_path / "y.bpf.h").write_text('SEC("?kprobe/g") int other(void)\n')
    assert programs.declared(tmp_path) == [Program("x", "other"), Program("x", "own")]


SWITCH, OPEN = (
    Program("sched", "switch_btf", "tp_btf/x"),
    Program("open", "open_kprobe", "kprobe/y"),
)


def proven(program: Program, instructions: int | None) -> dict[str, object]:
    return {"object": program.object, "program": program.name, "instructions": instructions}


def test_a_program_that_no_kernel_proved_fails_only_a_whole_run() -> None:
    proofs = programs.proofs([("5.10", [proven(SWITCH, None)]), ("6.1", [proven(SWITCH, 700)])])
    assert list(programs.wrong([SWITCH, OPEN], proofs, whole=False)) == []
    (line,) = programs.wrong([SWITCH, OPEN], proofs, whole=True)
    assert line == "open: open_kprobe (kprobe/y): no kernel proved this program"


def test_a_program_too_long_for_a_verifier_is_wrong() -> None:
    most = programs.MOST_INSTRUCTIONS
    proofs = programs.proofs([("5.10", [proven(OPEN, most)]), ("6.1", [proven(OPEN, most + 1)])])
    (line,) = programs.wrong([OPEN], proofs, whole=True)
    assert f"{most + 1} instructions for the verifier of 6.1" in line


def test_a_proof_of_an_unknown_program_is_wrong() -> None:
    proofs = programs.proofs([("5.10", [proven(Program("sched", "swich_btf"), 1)])])
    (line,) = programs.wrong([SWITCH], proofs, whole=False)
    assert "swich_btf" in line


def test_of_several_proofs_the_worst_counts_and_unknown_is_not_zero() -> None:
    lines = [proven(SWITCH, 5), proven(SWITCH, 9), proven(SWITCH, None)]
    proofs = programs.proofs([("6.1", lines), ("5.10", [proven(SWITCH, None)])])
    assert proofs[SWITCH] == {"6.1": 9, "5.10": None}
    (row,) = programs.rows([SWITCH], proofs, ["5.10", "6.1", "6.12"])
    assert row == ["sched: switch_btf", "tp_btf/x", "yes", "9", "-"]


def test_the_page_keeps_what_is_written_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "kernels.md"
    path.write_text(f"# by hand\n\n{page.BEGIN}\nold\n{page.END}\n\nbelow\n")
    runs = [run_of(tmp_path / name, PASSED, SKIPPED, kernel=name, version=version)
            for name, version in (("5.10", "5.10.0-32"), ("newest", "7.2.12+deb14"))]  # fmt: skip
    for run, hook in zip(runs, ("kprobe/f", "fentry/f|g")):
        probe = {"name": "open", "state": "on", "hook": hook, "reason": None}
        (run.results / "doctor.json").write_text(json.dumps({"probes": [probe]}))
        jsonl(run.results / "facts.jsonl", [{"fact": "least", "value": "CAP_BPF"}])
    page.write(path, runs, [SWITCH])
    text = path.read_text()
    assert text.startswith("# by hand\n\n") and text.endswith(f"{page.END}\n\nbelow\n")
    assert "\nold\n" not in text
    assert "| open | standard | 5.10 | on | kprobe/f |" in text
    assert r"| open | standard | 7.2 | on | fentry/f\|g |" in text
    assert "| least | 5.10, 7.2 | CAP_BPF |" in text
    assert "| 7.2 | standard | 1 | 0 | 1 | 61 |" in text
    assert "| no second CPU | 1 in 5.10 standard, 1 in 7.2 standard |" in text
    page.write(path, runs, [SWITCH])
    assert path.read_text() == text


def test_a_setting_is_told_where_it_makes_a_difference(tmp_path: Path) -> None:
    runs = []
    for setting, state in (("standard", "on"), ("integrity", "on"), ("confidentiality", "denied")):
        runs.append(run_of(tmp_path / setting, PASSED, setting=setting))
        probe = {"name": "sched", "state": state, "hook": None, "reason": "so it is"}
        (runs[-1].results / "doctor.json").write_text(json.dumps({"probes": [probe]}))
    rows = [line for line in page.block(runs, []) if line.startswith("| sched |")]
    assert rows == [
        "| sched | standard | 5.10 | on | so it is |",
        "| sched | confidentiality | 5.10 | denied | so it is |",
    ]


def test_a_page_without_marks_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "kernels.md").write_text("all by hand\n")
    with pytest.raises(ValueError, match="marks"):
        page.write(tmp_path / "kernels.md", [], [])
    assert (tmp_path / "kernels.md").read_text() == "all by hand\n"


def test_a_kernel_that_nobody_pinned_is_refused_by_name() -> None:
    with pytest.raises(KeyError, match=r"5\.10, 6\.1, 6\.12, newest"):
        kernels.by_name("4.19")


def test_without_apt_a_kernel_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBTOP_VM_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(fetch.NoKernel, match="no apt-get here"):
        fetch.fetch(kernels.OLDEST)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("W: old\nE: Failed to fetch x\nE: Some index files failed\n", "E: Failed to fetch x"),
        ("dpkg-deb: error: no space\n", "dpkg-deb: error: no space"),
        ("", ""),
    ],
)
def test_the_first_error_explains(said: str, reason: str) -> None:
    assert fetch._reason(said) == reason


def test_what_is_in_the_cache_is_not_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBTOP_VM_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    (tmp_path / kernels.NEWEST.suite).mkdir()
    (tmp_path / kernels.NEWEST.suite / "version").write_text("7.2\n")
    assert fetch.fetch(kernels.NEWEST) == tmp_path / kernels.NEWEST.suite


def test_a_kernel_is_found_where_its_package_has_it(tmp_path: Path) -> None:
    folder = tmp_path / "usr/lib/modules/7.2.12"
    folder.mkdir(parents=True)
    (folder / "vmlinuz").write_text("kernel")
    assert image.vmlinuz(tmp_path) == folder / "vmlinuz"
    assert image.module_text(tmp_path, "overlay") is None
