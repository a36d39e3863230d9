# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns a /proc made of files, for tests of what reads /proc."""

from __future__ import annotations

from pathlib import Path

TICK_NS = 10_000_000


class FakeProc:
    """Times are in ticks, as in the files; `schedstat` in nanoseconds."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "stat").write_text("cpu  1 0 1 8\ncpu0 100 0 100 800 0 0 0 0 0 0\nctxt 50\n")
        (root / "uptime").write_text("100.00 200.00\n")
        (root / "loadavg").write_text("0.50 0.25 0.10 1/100 4242\n")
        (root / "meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 400 kB\n")

    def put(self, pid: int, folder: Path | None = None, **given: object) -> Path:
        """Writes all files of a process, or of a thread in `folder`."""
        v = {"comm": "x", "state": "S", "ppid": 1, "flags": 0, "minflt": 0, "majflt": 0,
             "utime": 0, "stime": 0, "threads": 1, "start": 5, "vsize": 4096, "rss": 3, "uid": 0,
             "voluntary": 0, "involuntary": 0, "exit_code": 0, "schedstat": (0, 0, 0),
             "cmdline": b"x\0-y\0", "io": None, "syscall": None, **given}  # fmt: skip
        path = folder or self.root / str(pid)
        path.mkdir(parents=True, exist_ok=True)
        fields = [
            v["state"], v["ppid"], 1, 1, 0, -1, v["flags"], v["minflt"], 0, v["majflt"], 0,
            v["utime"], v["stime"], 0, 0, 20, 0, v["threads"], 0, v["start"], v["vsize"], v["rss"],
            18446744073709551615, *[0] * 26, v["exit_code"],
        ]  # fmt: skip
        comm = v["comm"].encode() if isinstance(v["comm"], str) else v["comm"]
        words = " ".join(map(str, fields)).encode()
        (path / "stat").write_bytes(b"%d (%s) %s\n" % (pid, comm, words))
        (path / "status").write_text(
            f"Name:\tx\nUid:\t0\t{v['uid']}\t0\t0\nVmHWM:\t  64 kB\n"
            f"voluntary_ctxt_switches:\t{v['voluntary']}\n"
            f"nonvoluntary_ctxt_switches:\t{v['involuntary']}\n"
        )
        if v["schedstat"] is not None:
            (path / "schedstat").write_text("{} {} {}\n".format(*v["schedstat"]))
        (path / "cmdline").write_bytes(v["cmdline"])
        if v["io"] is not None:
            counts = "rchar: 9\nwchar: 9\nsyscr: 9\nsyscw: 9\nread_bytes: {}\nwrite_bytes: {}\n"
            (path / "io").write_text(counts.format(*v["io"]) + "cancelled_write_bytes: 0\n")
        if v["syscall"] is not None:
            (path / "syscall").write_text(v["syscall"] + "\n")
        return path

    def put_thread(self, pid: int, tid: int, **given: object) -> Path:
        return self.put(tid, self.root / str(pid) / "task" / str(tid), **given)
