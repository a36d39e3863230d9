# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the run over kernels and settings: `make test-vm`. Two guests at a time, one table
at the end.

The exit status is 0 only when every guest that was asked for did its tests, all passed, and no
kernel complained. With `--if-possible` a machine that cannot run guests is no failure, but said.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import fetch
import image
import machine
import page
import programs
import report
from kernels import KERNELS, NEWEST, OLDEST, Kernel, by_name
from report import Run
from settings import DEFAULT, Setting
from settings import by_name as setting_by_name

PROGRAMS = ("qemu-system-x86_64", "busybox", "cpio", "xz")
PACKAGES = ("qemu-system-x86", "qemu-system-common", "busybox-static", "cpio", "xz-utils")
AT_ONCE = 2
TREE = Path(__file__).resolve().parents[2]
GUEST = TREE / "tests" / "vm" / "guest.py"
PAGE = TREE / "docs" / "kernels.md"


def main() -> int:
    options = _options()
    missing = _install()
    if missing:
        print(f"no guests: {missing}", file=sys.stderr)
        return 0 if options.if_possible else 1
    ready, absent = _fetched(options.kernels)
    if not ready:
        return 0 if options.if_possible else 1
    kept = Path(tempfile.mkdtemp(prefix="ebtop-vm-"))
    jobs = [
        (kernel, folder, setting)
        for setting in options.settings
        for kernel, folder in ready
        if options.named or not setting.ends or kernel in (OLDEST, NEWEST)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = list(pool.map(lambda job: _try(*job, kept), jobs))
    every_kernel = len(ready) == len(KERNELS) and not options.tests
    wrong = _conclude(runs, every_kernel, every_kernel and not options.named)
    for line in absent + wrong:
        print(line)
    if wrong:
        print(f"logs are kept in {kept}")
    else:
        shutil.rmtree(kept)
    return 1 if wrong or (absent and not options.if_possible) else 0


def _fetched(kernels: list[Kernel]) -> tuple[list[tuple[Kernel, Path]], list[str]]:
    """Those that can be had, with their folders; and a line for each that cannot."""
    ready, absent = [], []
    for kernel in kernels:
        try:
            folder = fetch.fetch(kernel)
        except fetch.NoKernel as error:
            absent.append(f"kernel {kernel.name}: NOT TRIED: {error}")
            print(absent[-1], flush=True)
        else:
            print(f"kernel {kernel.name}: {_version(folder)} ({kernel.suite})", flush=True)
            ready.append((kernel, folder))
    return ready, absent


def _conclude(runs: list[Run], every_kernel: bool, whole: bool) -> list[str]:
    """Prints the tables; what is wrong, a line each. A `whole` run also left out no setting."""
    print(f"\n{report.table(runs)}\n")
    standard = [run for run in runs if run.setting.name == page.STANDARD]
    declared = programs.declared(TREE / "bpf")
    proofs = report.proofs(runs)
    names = list(dict.fromkeys(run.label for run in runs))
    for row in programs.rows(declared, proofs, names) if proofs else ():
        print(report.columns(row))
    wrong = report.verdict(runs)
    for run in runs:
        if report.verdict([run]):
            print("\n".join([f"---- {run.name}, its last words:", *report.last_words(run), ""]))
    wrong += programs.wrong(declared, proofs, every_kernel and bool(standard))
    if whole:
        if all(page.doctor(run.results) for run in standard):
            page.write(PAGE, runs, declared)
            print(f"{PAGE.relative_to(TREE)} is written anew")
        else:
            wrong.append(f"{PAGE.relative_to(TREE)} stays as it was: a guest has no report")
    return wrong


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make test-vm")
    parser.add_argument("--kernels", default="", help="by comma; default: all")
    parser.add_argument("--settings", default="", help="by comma; default: all")
    parser.add_argument("--if-possible", action="store_true")
    parser.add_argument("--seconds", type=int, help="how long a guest may take")
    parser.add_argument("tests", nargs="*", help="instead of the tests of the setting")
    options = parser.parse_args()
    try:
        options.kernels = _chosen(options.kernels)
        options.named = [name for name in options.settings.split(",") if name]
        settings = [setting_by_name(name) for name in options.named] or list(DEFAULT)
    except KeyError as error:
        parser.error(str(error.args[0]))
    options.settings = [_as_asked(setting, options) for setting in settings]
    return options


def _as_asked(setting: Setting, options: argparse.Namespace) -> Setting:
    seconds = options.seconds or setting.seconds
    return replace(setting, seconds=seconds, tests=tuple(options.tests) or setting.tests)


def _chosen(names: str) -> list[Kernel]:
    if names == "ends":
        return [OLDEST, NEWEST]
    return [by_name(name) for name in names.split(",") if name] or list(KERNELS)


def _install() -> str:
    """What is missing and cannot be installed; empty when all is there."""

    def lacking() -> list[str]:
        absent = [name for name in PROGRAMS if not shutil.which(name)]
        found = any(os.access(path, os.X_OK) for path in machine.VIRTIOFSD)
        return absent if found else [*absent, "virtiofsd"]

    if lacking() and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {"stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "-qq", "update"], check=False, **quiet)  # type: ignore[call-overload]
        install = ["apt-get", "-qq", "-y", "--no-install-recommends", "install", *PACKAGES]
        subprocess.run(install, check=False, env=environment, **quiet)  # type: ignore[call-overload]
    if lacking():
        return f"missing {' '.join(lacking())}; Debian: apt-get install {' '.join(PACKAGES)}"
    return "not root, and the guest needs the whole file tree" if os.geteuid() else ""


def _version(folder: Path) -> str:
    return (folder / "version").read_text().strip()


def _try(kernel: Kernel, folder: Path, setting: Setting, kept: Path) -> Run:
    """A guest that was lost on the way is tried once more, and the report says so."""
    run = _once(kernel, folder, setting, kept, "first")
    if run.outcome.lost is None or run.outcome.hung:
        return run
    again = _once(kernel, folder, setting, kept, "second")
    return replace(again, lost_before=run.outcome.lost)


def _once(kernel: Kernel, folder: Path, setting: Setting, kept: Path, attempt: str) -> Run:
    results = kept / f"{kernel.name}-{setting.name}-{attempt}"
    results.mkdir()
    initrd = results / "initrd"
    image.build(folder / "root", initrd)
    environment = {"EBTOP_LIVE": "1"} if setting.forced else {}
    command = [sys.executable, str(GUEST), *setting.tests]
    outcome = machine.run(folder / "root", initrd, setting, command, environment, results)
    initrd.unlink()
    run = Run(kernel, _version(folder), setting, outcome, results)
    print(report.line(run), flush=True)
    return run


if __name__ == "__main__":
    sys.exit(main())
