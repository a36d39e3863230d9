# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""`ebtop run`: every process of the tree is in the report, its totals are the kernel's, and the
command neither notices nor can spoil it."""

from __future__ import annotations

import json
import os
import pwd
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from kernelobjects import assert_gone_within_a_second, held
from observe import allowed, fewer, unexpected, workload
from running import NOBODY, command, ebtop, why_not_as_nobody

LONG = allowed(60)


def run(*words: str, options: tuple[str, ...] = ()) -> tuple[dict[str, Any], bytes]:
    """The report, and what the command wrote."""
    done = ebtop("run", "--json", *options, "--", *words, timeout=LONG)
    assert b"Traceback" not in done.stderr, done.stderr
    *written, line = done.stdout.splitlines(keepends=True)
    report = json.loads(line)
    assert done.returncode == report["exit_code"], done.stderr
    return report, b"".join(written)


def root_of(report: dict[str, Any]) -> dict[str, Any]:
    """The command's own process."""
    pids = {one["pid"] for one in report["processes"]}
    found = [one for one in report["processes"] if one["ppid"] not in pids]
    return min(found, key=lambda one: one["start_ns"])


def told_to_parent(report: dict[str, Any]) -> Any:
    """The CPU time that wait4(2) tells of, to 1 %: less what our own fork used before it was the
    command. What it used from then on to exec(2) is the command's."""
    usage = report["usage"]
    kernel = usage["user_ns"] + usage["kernel_ns"] - usage["held_ns"]
    return pytest.approx(kernel, rel=0.01, abs=2_000_000)


def test_every_process_of_a_tree_of_a_thousand_is_there():
    """Each with what it ended with; and all the CPU time that the command's parent is told of."""
    report, written = run(workload("family"), str(fewer(307)))
    expected = {int(pid): int(code) for pid, code in map(bytes.split, written.splitlines())}
    assert len(expected) >= fewer(1000)
    assert report["exit_code"] == 7 and report["still_running"] == 0
    assert len(report["processes"]) == report["total"]["processes"] == len(expected)
    assert all(one["exited"] for one in report["processes"])
    assert not unexpected(report["self"]["lost"])
    codes = {one["pid"]: one["exit_code"] for one in report["processes"]}
    assert codes == {pid: code % 1000 for pid, code in expected.items()}
    assert set(codes.values()) >= {0, 5, 6, 7, 128 + signal.SIGKILL}
    assert root_of(report)["exit_code"] == 7
    waited_for = [one for one in report["processes"] if expected[one["pid"]] < 1000]
    assert sum(one["oncpu_ns"] for one in waited_for) == told_to_parent(report)


def test_cpu_time_is_what_the_kernel_says():
    code = "import os\nfor _ in range(7):\n if not os.fork():\n  sum(range(2000000)); os._exit(0)\n"
    code += " os.wait()\n"
    report, _ = run(sys.executable, "-I", "-c", code)
    total = report["total"]
    assert total["oncpu_ns"] == told_to_parent(report)
    assert total["user_ns"] + total["kernel_ns"] == pytest.approx(total["oncpu_ns"], rel=0.01)
    assert report["figures"]["oncpu_ns"] == "counted"
    assert total["processes"] == 8
    assert total["oncpu_ns"] == sum(one["oncpu_ns"] for one in report["processes"])


def test_cpu_time_of_a_thousand_short_ones():
    """The parent's own account, of processes that last a millisecond."""
    report, _ = run(workload("spawn"), str(fewer(997)), "/bin/true")
    assert report["total"]["processes"] == fewer(997) + 1
    assert report["total"]["oncpu_ns"] == told_to_parent(report)


def test_peak_memory_is_the_kernel_s():
    code = "x = bytearray(67 << 20)\nimport resource\n"
    code += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    report, written = run(sys.executable, "-I", "-c", code)
    own = root_of(report)["peak_rss_bytes"]
    assert own == report["usage"]["peak_rss_bytes"] >= int(written) * 1024 > 67 << 20
    assert report["total"]["peak_rss_bytes"] >= own


def test_system_calls_are_the_command_s_alone():
    code = "import os\nfor _ in range(211): os.getppid()\nif not os.fork():\n"
    code += " [os.getppid() for _ in range(101)]\nelse: os.wait()"
    report, _ = run(sys.executable, "-I", "-c", code)
    calls = {one["name"]: one for one in report["syscalls"]}
    assert calls["getppid"]["calls"] == 211 + 101
    assert calls["execve"]["calls"] == 1
    assert sum(one["calls"] for one in report["syscalls"]) == report["total"]["syscalls"]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["/no/such/command"], 127),
        (["no-such-command-anywhere"], 127),
        (["/etc/passwd"], 126),
        (["/"], 126),
        ([], 2),
        ([""], 2),
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "kill -9 $$"], 137),
        (["sh", "-c", "kill -TERM $$"], 143),
    ],
)
def test_the_exit_status_is_the_command_s(words, status):
    done = ebtop("run", "--", *words, timeout=LONG)
    assert done.returncode == status, done.stderr
    assert b"Traceback" not in done.stderr


def test_what_outlives_the_command_is_said_or_waited_for():
    words = ["sh", "-c", "(sleep 1.3; exit 9) >/dev/null & exit 0"]
    report, _ = run(*words)
    living = [one for one in report["processes"] if not one["exited"]]
    assert report["still_running"] == len(living) >= 1
    report, _ = run(*words, options=("--wait",))
    assert report["still_running"] == 0
    assert sorted(one["exit_code"] for one in report["processes"])[-1] == 9
    assert report["duration_ns"] < allowed(1) * 1e9 or os.getloadavg()[0] > 2


def test_a_daemon_stays_in_the_tree():
    code = "import os, time\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\n"
    code += "os.closerange(0, 3); time.sleep(0.7); os._exit(4)"
    report, _ = run(sys.executable, "-I", "-c", code, options=("--wait",))
    assert [one["exit_code"] for one in report["processes"]] == [0, 0, 4]


def test_the_command_has_its_own_world(tmp_path):
    code = "import os, signal\nprint(os.getcwd(), os.environ['MARK'], os.listdir('/proc/self/fd'),"
    code += " open('/proc/self/status').read().split('SigIgn:')[1].split()[0],"
    code += " open('/proc/self/status').read().split('SigBlk:')[1].split()[0])"
    words = ["sh", "-c", 'exec "$0" -I -S -c "$1"', sys.executable, code]
    environment = {**os.environ, "MARK": "m1"}
    plain = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, stdin=subprocess.DEVNULL
    )
    done = ebtop("run", "--output", str(tmp_path / "o"), "--", *words, cwd=tmp_path,
                 env=environment, timeout=LONG)  # fmt: skip
    assert done.stdout == plain.stdout and done.returncode == 0
    assert (tmp_path / "o").stat().st_mode & 0o777 == 0o600
    assert b"ebtop run: sh -c" in (tmp_path / "o").read_bytes()


def test_a_signal_for_ebtop_reaches_the_command(tmp_path):
    script = "trap 'echo told; exit 21' TERM; echo ready; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        command("run", "--json", "--", "sh", "-c", script), stdout=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=LONG)
    told, line = out.splitlines()
    assert (told, json.loads(line)["exit_code"], process.returncode) == (b"told", 21, 21)


def test_ebtop_killed_leaves_the_command_running_and_nothing_in_the_kernel(tmp_path):
    mark, go = tmp_path / "done", tmp_path / "go"
    script = f"echo ready; while [ ! -e {go} ]; do sleep 0.05; done; echo yes > {mark}"
    process = subprocess.Popen(command("run", "--", "sh", "-c", script), stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    objects = held(process.pid)
    assert {kind for kind, _ in objects} == {"prog", "map", "link"}
    process.kill()
    process.wait()
    assert_gone_within_a_second(objects)
    go.touch()
    end = time.monotonic() + allowed(10)
    while not mark.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert mark.exists()


def test_sudo_s_identity_is_given_back():
    code = "import json, os; print(json.dumps([os.getresuid(), os.getresgid(), os.getgroups(),"
    code += " dict(os.environ), open('/proc/self/status').read()]))"
    given = {
        "SUDO_UID": "65534", "SUDO_GID": "65534", "SUDO_USER": "nobody", "SUDO_COMMAND": "x",
        "HOME": "/root", "USER": "root", "LOGNAME": "root", "SHELL": "/x", "KEPT": "1",
    }  # fmt: skip
    words = ["python3", "-I", "-S", "-c", code]
    environment = {**os.environ, **given}
    done = ebtop("run", "--json", "--", *words, env=environment, timeout=LONG, cwd="/")
    if done.returncode == 126:
        pytest.skip("that user cannot run the system's Python")
    line, report = done.stdout.splitlines()
    users, groups, more, environ, status = json.loads(line)
    assert users == groups == [65534] * 3
    user = pwd.getpwuid(65534)
    assert set(more) == set(os.getgrouplist(user.pw_name, 65534))
    assert not [name for name in environ if name.startswith("SUDO_")] and environ["KEPT"] == "1"
    own = (user.pw_name, user.pw_name, user.pw_dir, user.pw_shell)
    assert tuple(environ[name] for name in ("USER", "LOGNAME", "HOME", "SHELL")) == own
    # it can do what that user can, and become root by what is set-uid
    fields = dict(one.split(":\t") for one in status.splitlines() if ":\t" in one)
    assert int(fields["CapEff"], 16) == 0 and fields["NoNewPrivs"] == "0"
    assert json.loads(report)["processes"][0]["uid"] == 65534


def test_a_process_that_runs(tmp_path):
    code = "import subprocess\nwhile True: subprocess.run(['true'])"
    with subprocess.Popen([sys.executable, "-I", "-c", code]) as process:
        done = ebtop("run", "--json", "-p", str(process.pid), "--duration", "1", timeout=LONG)
        process.kill()
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["exit_code"] is None and report["command"] == []
    assert report["duration_ns"] >= 1_000_000_000 and report["still_running"] >= 1
    children = [one for one in report["processes"] if one["ppid"] == process.pid]
    assert len(children) > 3 and process.pid in {one["pid"] for one in report["processes"]}


def test_proc_alone_marks_what_it_does_not_know():
    words = ("sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; sleep 0.3")
    report, _ = run(*words, options=("--source", "proc"))
    figures, total = report["figures"], report["total"]
    assert report["source"] == "proc" and report["syscalls"] == [] and total["syscalls"] is None
    assert figures["syscalls"] == "missing" and figures["oncpu_ns"] == "counted"
    assert figures["runq_wait_ns"] in ("sampled", "missing")
    usage = report["usage"]
    assert total["oncpu_ns"] == usage["user_ns"] + usage["kernel_ns"] > 0
    assert root_of(report)["exit_code"] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_look_at_a_process_with_its_report(number, tmp_path):
    samples = tmp_path / "samples"
    with subprocess.Popen(["sleep", "60"]) as watched:
        words = command("run", "--json", "--samples", str(samples), "-p", str(watched.pid))
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        end = time.monotonic() + allowed(20)
        while not (samples.exists() and samples.stat().st_size) and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(number)
        out, err = process.communicate(timeout=LONG)
        alive = watched.poll() is None
        watched.kill()
    assert (process.returncode, err, alive) == (0, b"", True)
    report = json.loads(out)
    assert [one["pid"] for one in report["processes"]] == [watched.pid]
    assert report["still_running"] == 1 and report["exit_code"] is None


def test_a_reader_that_goes_ends_the_command_as_ever(tmp_path):
    words = command("run", "--", "yes")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"y\n"
    process.stdout.close()
    assert process.wait(LONG) == 128 + signal.SIGPIPE
    assert process.stderr is not None and process.stderr.read() == b""
    process.stderr.close()


def test_what_the_report_has_beside_processes(tmp_path):
    """Connections, what the disks did, opens, and what all this cost."""
    code = "import os, socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n"
    code += "c = socket.create_connection(s.getsockname()); d, _ = s.accept()\n"
    code += "c.sendall(b'x' * 100003); c.close(); n = 0\n"
    code += "while part := d.recv(65536): n += len(part)\n"
    code += "print(n); d.close(); f = os.open('file', os.O_CREAT | os.O_WRONLY)\n"
    code += "os.write(f, b'x' * 1000003); os.fsync(f)\n"
    code += "for _ in range(211): os.close(os.open('file', os.O_RDONLY))"
    words = ("run", "--json", "--output", "report", "--", sys.executable, "-I", "-S", "-c", code)
    done = ebtop(*words, cwd=tmp_path, timeout=LONG)
    assert done.returncode == 0 and done.stdout == b"100003\n", done.stderr
    report = json.loads((tmp_path / "report").read_text())
    total, cost = report["total"], report["self"]
    ends = [one for one in report["connections"] if one["state"] != "LISTEN" and one["direction"]]
    assert {one["direction"]: one["tx_bytes"] for one in ends} == {"out": 100003, "in": 0}
    assert total["connections_opened"] == total["connections_accepted"] == 1
    assert total["net_rx_bytes"] == 100003 and total["file_write_bytes"] == 1000003
    calls = {one["name"]: one["calls"] for one in report["syscalls"]}
    assert total["opens"] == sum(calls.get(name, 0) for name in ("open", "openat")) > 211
    assert sum(disk["writes"] for disk in report["disks"]) >= total["disk_writes"]
    assert cost["probe_ns"] > 0 and cost["events"] >= 2 and cost["cpu_ns"] > 0
    on = [probe for probe in report["probes"] if probe["state"] == "on"]
    assert sum(probe["run_ns"] for probe in on) == cost["probe_ns"]
    assert {"sched", "life", "tasks", "syscall"} <= {probe["name"] for probe in on if probe["runs"]}
    assert report["machine"]["kernel"] == os.uname().release and report["machine"]["cpus"] >= 1


@pytest.mark.skipif(bool(why_not_as_nobody()), reason=why_not_as_nobody())
def test_files_and_stacks_are_those_of_the_whole_tree(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(70001))
    line = "dd if=$0 of=$1 bs=1009 2>/dev/null; (sleep 0.307)"
    report, _ = run("sh", "-c", line, str(source), str(target))
    files = {one["path"]: one for one in report["files"]}
    moved = {"read_bytes": 70001, "write_bytes": 0, "reads": 70, "writes": 0}
    assert files[str(source)] == {"path": str(source), **moved}
    assert files[str(target)]["write_bytes"] == 70001
    assert files[str(target)]["writes"] == 70
    total = report["total"]["file_read_bytes"]
    assert sum(one["read_bytes"] for one in report["files"]) == total
    naps = [wait for wait in report["waits"] if wait["reason"] == "sleep"]
    assert sum(wait["wait_ns"] for wait in naps) >= 307_000_000
    assert any("nanosleep" in name for wait in naps for name in wait["stack"])
    assert all(wait["waits"] > 0 and wait["stack"] for wait in report["waits"])


def test_without_rights_each_figure_says_how_it_is_known(tmp_path):
    tmp_path.chmod(0o777)
    words = ("sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 0.3; exit 3")
    options = ("--output", "report", "--samples", "samples")
    done = ebtop("run", "--json", *options, "--", *words, cwd=tmp_path, timeout=LONG, **NOBODY)
    assert done.returncode == 3 and b"not root" in done.stderr and not done.stdout
    report = json.loads((tmp_path / "report").read_text())
    total, figures, usage = report["total"], report["figures"], report["usage"]
    assert set(figures) == set(total)
    for name, how in figures.items():
        assert (how == "missing") == (total[name] is None), name
    assert figures["syscalls"] == figures["wait_ns"] == "missing" and report["syscalls"] == []
    assert figures["user_ns"] == "counted" and figures["runq_wait_ns"] == "sampled"
    assert total["oncpu_ns"] == usage["user_ns"] + usage["kernel_ns"] > 0
    assert {probe["state"] for probe in report["probes"]} <= {"denied", "off"}
    lines = (tmp_path / "samples").read_text().splitlines()
    assert lines and all(json.loads(line)["source"] == "proc" for line in lines)
    done = ebtop("run", "--", "sleep", "0.2", timeout=LONG, cwd="/", **NOBODY)
    assert b"system calls: not known here" in done.stdout
    assert b"processes                  ~" in done.stdout
    with subprocess.Popen(["sleep", "60"], user=65534) as process:
        done = ebtop("run", "--json", "-p", str(process.pid), "--duration", "0.3", cwd="/",
                     timeout=LONG, **NOBODY)  # fmt: skip
        process.kill()
    assert [one["pid"] for one in json.loads(done.stdout)["processes"]] == [process.pid]


@pytest.mark.skipif(bool(why_not_as_nobody()), reason=why_not_as_nobody())
def test_where_bpf_is_insisted_on_and_refused_the_command_never_begins(tmp_path):
    tmp_path.chmod(0o777)
    options = ("--source", "bpf", "--", "touch", "begun")
    done = ebtop("run", *options, cwd=tmp_path, timeout=LONG, **NOBODY)
    assert done.returncode == 77 and b"not root" in done.stderr
    assert not (tmp_path / "begun").exists()


def test_samples_are_close_at_first_and_reports_are_compared(tmp_path):
    sides = []
    for side, seconds in enumerate(("0.2", "0.8")):
        files = [str(tmp_path / f"{side}{index}.json") for index in range(3)]
        for path in files:
            options = ("--json", "--output", path, "--samples", path + ".samples")
            done = ebtop("run", *options, "--", "sleep", seconds, timeout=LONG)
            assert (done.returncode, done.stdout) == (0, b"")
            lines = [json.loads(line) for line in Path(path + ".samples").read_text().splitlines()]
            assert len(lines) >= 2 and all(line["type"] == "sample" for line in lines)
            elapsed = [line["elapsed_ns"] for line in lines]
            assert elapsed == sorted(elapsed) and elapsed[0] < allowed(0.2) * 1e9
            assert lines[0]["total"]["processes"] == 1
        sides.append(",".join(files))
    done = ebtop("diff", *sides)
    assert done.returncode == 0 and b"duration_ns" in done.stdout
    assert b"command: " in done.stdout and b"noise is told" not in done.stdout
    found = json.loads(ebtop("diff", "--json", *sides).stdout)
    changes = {one["name"]: one for one in found["changes"]}
    assert changes["duration_ns"]["beyond_noise"] and changes["duration_ns"]["percent"] > 100
    assert changes["processes"]["beyond_noise"] is False


def test_what_sits_at_the_output_s_place_is_left_alone(tmp_path):
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "link").symlink_to(target)
    done = ebtop("run", "--output", str(tmp_path / "link"), "--", "touch", str(tmp_path / "ran"))
    assert done.returncode == 1 and target.read_text() == "precious"
    assert not (tmp_path / "ran").exists()


def test_nothing_is_written_where_nobody_reads():
    """A full output costs the report, not the status."""
    with Path("/dev/full").open("wb") as full:
        done = ebtop("run", "--", "sh", "-c", "exit 6", stdout=full, timeout=LONG)
    assert done.returncode == 6 and b"cannot write" in done.stderr


FULL = """
mount -t tmpfs -o size=$1 tmpfs $2 && cd $2 && shift 2 || exit 99
"$@" >/dev/null
echo "$?"
cat samples 2>/dev/null
echo -
cat report 2>/dev/null
"""


def on_a_small_disk(size: str, folder: Path, *words: str) -> tuple[int, bytes, bytes, bytes]:
    """Status, samples, report, and what was said on standard error."""
    script = ["unshare", "-m", "sh", "-c", FULL, "sh", size, str(folder)]
    process = subprocess.Popen(
        [*script, *command("run", *words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, error = process.communicate(timeout=LONG)
    status, _, rest = out.partition(b"\n")
    samples, _, report = rest.rpartition(b"-\n")
    return int(status), samples, report, error


@pytest.mark.parametrize("required", [(), ("--output-required",)])
def test_samples_that_do_not_fit_the_disk_are_counted_in_one_line(required, tmp_path):
    words = ("--samples", "samples", *required, "--", "sleep", "2")
    status, samples, _, error = on_a_small_disk("8k", tmp_path, *words)
    lines = samples.splitlines()
    assert lines and samples.endswith(b"\n") and all(json.loads(line) for line in lines)
    said = re.fullmatch(
        rb"ebtop: (\d+) of (\d+) samples are not in samples: No space left on device\n", error
    )
    assert said and int(said[2]) - int(said[1]) == len(lines)
    assert status == (1 if required else 0)


@pytest.mark.parametrize("required", [(), ("--output-required",)])
def test_of_a_report_that_does_not_fit_the_disk_nothing_stays(required, tmp_path):
    script = "for i in 1 2 3 4 5 6 7 8 9; do /bin/true; done; exit 6"
    words = ("--json", "--output", "report", *required, "--", "sh", "-c", script)
    status, _, report, error = on_a_small_disk("4k", tmp_path, *words)
    assert report == b""
    assert error == b"ebtop: the report is not in report: No space left on device\n"
    assert status == (1 if required else 6)


def test_a_report_that_nobody_can_be_given_is_a_failure_only_where_it_is_required():
    for options, status in (((), 6), (("--output-required",), 1)):
        with Path("/dev/full").open("wb") as full:
            done = ebtop("run", *options, "--", "sh", "-c", "exit 6", stdout=full, timeout=LONG)
        assert done.returncode == status
        assert done.stderr == b"ebtop: cannot write the report: No space left on device\n"


@pytest.mark.parametrize("other", ["same", "same/../same", "folder/same", "./same"])
def test_report_and_samples_in_one_file_are_refused(other, tmp_path):
    (tmp_path / "same").write_text("precious")
    (tmp_path / "folder").symlink_to(tmp_path)
    words = ("run", "--samples", "same", "--output", other.replace("same/..", "folder/."))
    done = ebtop(*words, "--", "touch", "ran", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1
    assert not (tmp_path / "ran").exists() and (tmp_path / "same").read_text() == "precious"


@pytest.mark.parametrize("option", ["--samples", "--output"])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_file_that_is_a_standard_stream_too_is_refused(option, stream, tmp_path):
    with (tmp_path / "same").open("wb") as same:
        words = ("run", option, str(tmp_path / "same"), "--", "touch", str(tmp_path / "ran"))
        done = ebtop(*words, **{stream: same})
    assert done.returncode == 2 and not (tmp_path / "ran").exists()


def test_limits_are_those_of_the_caller():
    report, written = run(sys.executable, "-I", "-c",
                          "import resource as r; print(r.getrlimit(r.RLIMIT_NOFILE))")  # fmt: skip
    assert written.decode().strip() == str(resource.getrlimit(resource.RLIMIT_NOFILE))
    assert report["exit_code"] == 0


@pytest.mark.parametrize(
    "code",
    [
        "os.setgid(65534); os.setuid(65534)",
        "os.closerange(0, 64)",
        "[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 3, 15)]",
        "os.setsid(); os.chdir('/')",
        "os.set_blocking(1, False); os.set_blocking(2, False)",
    ],
)
def test_whatever_the_command_does_to_itself(code, tmp_path):
    code = f"import os, signal; {code}; [os.getppid() for _ in range(101)]; os._exit(5)"
    options = ("--json", "--output", str(tmp_path / "o"))
    done = ebtop("run", *options, "--", sys.executable, "-I", "-S", "-c", code, timeout=LONG)
    assert (done.returncode, done.stderr) == (5, b"")
    report = json.loads((tmp_path / "o").read_text())
    calls = {one["name"]: one["calls"] for one in report["syscalls"]}
    assert calls["getppid"] == 101 and report["processes"][0]["exit_code"] == 5
    if "setuid" in code:
        assert report["processes"][0]["uid"] == 65534


def test_a_command_that_floods_its_output():
    """Megabytes through a pipe that is read slowly; the report comes after all of it, whole."""
    code = "import os\nfor _ in range(40000): os.write(1, b'x' * 79 + b'\\n')"
    report, written = run(sys.executable, "-I", "-S", "-c", code)
    assert len(written) == 40000 * 80 and set(written.split()) == {b"x" * 79}
    calls = {one["name"]: one["calls"] for one in report["syscalls"]}
    assert calls["write"] == 40000
