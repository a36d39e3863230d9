# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns one guest: booting a kernel over this machine's file tree, running one command in it, and
what became of both. What the command is, and what the outcome means, is decided elsewhere.

The tree is read-only underneath and comes by virtiofs; what the guest writes is gone with it, but
for its folder of results. The emulator's flags are those that survived (docs/kernels.md): one
thread emulates all CPUs, without cmpxchg16b, and never KVM.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import image
from settings import Setting

VIRTIOFSD = ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd")
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""However this run ends, no guest outlives it."""
DISK_BYTES = 64 << 20
RESULTS = "/run/results"
"""Where the guest sees its folder of results."""
COMPLAINTS = re.compile(
    r"WARNING:|BUG:|Oops|general protection|hung task|blocked for more than|rcu.*stall|"
    r"Kernel panic|lockdep|refcount_t:"
)
PANIC = re.compile(r"Kernel panic.*")
OUT_OF_MEMORY = re.compile(r"Out of memory: Killed process.*")


@dataclass(frozen=True)
class Outcome:
    """`status` is the command's own; None when the guest was lost before it could tell."""

    status: int | None
    seconds: float
    lost: str | None
    """Why there is no status, in one line."""
    complaints: tuple[str, ...]
    """What the guest's kernel complained of in its log."""
    killed: str | None = None
    """What its kernel says of a process that it killed for want of memory, the last one."""
    hung: bool = False
    """Its time was up: trying again would take as long."""


def run(
    packages: Path, initrd: Path, setting: Setting, command: list[str],
    environment: dict[str, str], results: Path,
) -> Outcome:  # fmt: skip
    """Boots, runs `command` in the present folder, and comes back when the guest is off.

    `results` is an empty folder; afterwards it has `serial`, and from the guest `output`, `status`
    and `dmesg`.
    """
    exports = {
        "PATH": os.environ["PATH"],
        "HOME": "/root",
        "TERM": "linux",
        "EBTOP_VM": "1",
        "EBTOP_VM_SETTING": setting.name,
        "EBTOP_RESULTS": RESULTS,
        **environment,
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in exports.items()]
    lines += [f"cd {shlex.quote(os.getcwd())} && exec {shlex.join(command)}", ""]
    (results / "command").write_text("\n".join(lines))
    began = time.monotonic()
    with ExitStack() as stack:
        tree = stack.enter_context(_share(Path("/"), results / "tree.socket"))
        back = stack.enter_context(_share(results, results / "results.socket"))
        disk = stack.enter_context(_disk(results / "disk"))
        hung = _emulate(packages, initrd, setting, (tree, back), disk, results / "serial")
    return _judge(results, time.monotonic() - began, hung)


@contextmanager
def _share(folder: Path, socket: Path) -> Iterator[Path]:
    program = next((path for path in VIRTIOFSD if os.access(path, os.X_OK)), VIRTIOFSD[0])
    options = [f"--socket-path={socket}", "-o", f"source={folder}", "-o", "sandbox=chroot"]
    # what the guest writes must be there when it is lost
    options += ["-o", "cache=always" if folder == Path("/") else "cache=none", "-f"]
    with subprocess.Popen([*DIES_WITH_US, program, *options], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as daemon:  # fmt: skip
        try:
            for _ in range(200):
                if socket.exists():
                    break
                time.sleep(0.02)
            yield socket
        finally:
            daemon.kill()
            socket.unlink(missing_ok=True)


@contextmanager
def _disk(path: Path) -> Iterator[Path]:
    """Empty at first, and nobody else's."""
    with path.open("wb") as file:
        file.truncate(DISK_BYTES)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _emulate(
    packages: Path,
    initrd: Path,
    setting: Setting,
    sockets: tuple[Path, Path],
    disk: Path,
    serial: Path,
) -> bool:
    """Whether it had to be ended because its time was up."""
    memory = f"{setting.memory_mib}M"
    command = [*DIES_WITH_US, "qemu-system-x86_64", "-accel", "tcg,thread=single",
               "-cpu", "max,-cx16",
               "-m", memory, "-smp", setting.smp, "-numa", "node,memdev=memory",
               "-object", f"memory-backend-memfd,id=memory,size={memory},share=on",
               "-kernel", str(image.vmlinuz(packages)), "-initrd", str(initrd), "-nographic",
               "-no-reboot", "-nic", "none", "-monitor", "none", "-serial", f"file:{serial}",
               "-append", f"console=ttyS0 quiet panic=-1 oops=panic {setting.append}"]  # fmt: skip
    command += ["-drive", f"file={disk},format=raw,if=none,id=disk,cache=none",
                "-device", "virtio-blk-pci,drive=disk"]  # fmt: skip
    for tag, socket in zip(("tree", "results"), sockets):
        command += ["-chardev", f"socket,id={tag},path={socket}",
                    "-device", f"vhost-user-fs-pci,chardev={tag},tag={tag}"]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE) as emulator:  # fmt: skip
        try:
            _, said = emulator.communicate(timeout=setting.seconds)
        except subprocess.TimeoutExpired:
            emulator.kill()
            return True
    if emulator.returncode:
        with serial.open("ab") as file:
            file.write(said)
    return False


def _judge(results: Path, seconds: float, hung: bool) -> Outcome:
    serial = _text(results / "serial")
    log = _text(results / "dmesg") or serial
    complaints = tuple(line for line in log.splitlines() if COMPLAINTS.search(line))
    status = _text(results / "status").strip()
    killed = [found.group() for found in OUT_OF_MEMORY.finditer(log)][-1:]
    last = killed[0] if killed else None
    if status.isdigit():
        return Outcome(int(status), seconds, None, complaints, last)
    return Outcome(None, seconds, why_lost(serial, seconds, hung), complaints, last, hung)


def why_lost(serial: str, seconds: float, hung: bool) -> str:
    """In one line: a panic explains more than that the time was up."""
    panic, killed = PANIC.search(serial), OUT_OF_MEMORY.search(serial)
    if panic:
        return panic.group()
    if killed:
        return f"it ran out of memory: {killed.group()}"
    if hung:
        return f"it hung: not done after {seconds:.0f} s"
    if "guest: " in serial:
        return serial.split("guest: ", 1)[1].splitlines()[0]
    return "it ended without a word"


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
