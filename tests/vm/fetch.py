# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns getting a kernel: found in its suite through apt, downloaded, unpacked into the cache.

apt runs with lists of its own and the mirror that this machine uses already, so nothing of the
machine's own package state changes; the suite's signature is checked with Debian's keyring.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from kernels import Kernel

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
META = "linux-image-cloud-amd64"


class NoKernel(Exception):
    """It cannot be had; the message says why in one line."""


def cache() -> Path:
    """Outside the tree, so that a fresh checkout finds what an earlier one fetched."""
    return Path(os.environ.get("EBTOP_VM_CACHE", "/var/cache/ebtop-vm"))


def fetch(kernel: Kernel) -> Path:
    """The folder with the kernel's packages unpacked in `root/`, and `version`. Raises NoKernel."""
    folder = cache() / kernel.suite
    if not (folder / "version").exists():
        _fetch(kernel, folder)
    return folder


def _run(command: list[str], **options: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        raise NoKernel(f"{command[0]}: {_reason(done.stderr) or f'status {done.returncode}'}")
    return str(done.stdout)


def _reason(said: str) -> str:
    """apt's first error explains; its last only counts them."""
    lines = [line for line in said.splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("E: ")), lines[-1] if lines else "")


def _mirror() -> str:
    """Where this machine has its packages from, by apt's own word."""
    listed = ["apt-get", "indextargets", "--format", "$(REPO_URI)"]
    for _ in range(2):
        found = [uri for uri in _run(listed).split() if "-security" not in uri]
        if found:
            return found[0]
        _run(["apt-get", "-qq", "update"])
    raise NoKernel("apt knows no mirror")


def _options(folder: Path, suite: str) -> list[str]:
    """apt with a list of its own."""
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {_mirror()} {suite} main\n")
    (folder / "lists" / "partial").mkdir(parents=True)
    settings = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "APT::Sandbox::User": "root",
        # without it, lists that could not be had are only a warning
        "APT::Update::Error-Mode": "any",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def _packages(options: list[str]) -> tuple[str, list[str]]:
    """The version, and the packages that hold it: newer suites split image and modules."""
    depends = _run(["apt-cache", *options, "depends", META]).split()
    images = [word for word in depends if word.startswith("linux-image-") and word[12].isdigit()]
    if not images:
        raise NoKernel(f"{META} names no kernel")
    version = images[0][len("linux-image-") :]
    parts = [f"linux-{part}-{version}" for part in ("binary", "modules", "base")]
    try:
        _run(["apt-cache", *options, "show", parts[0]])
    except NoKernel:
        return version, images[:1]
    return version, parts


def _fetch(kernel: Kernel, folder: Path) -> None:
    if not shutil.which("apt-get"):
        raise NoKernel("kernels come as Debian packages, and there is no apt-get here")
    fresh = folder.with_name(folder.name + ".fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        options = _options(fresh, kernel.suite)
        _run(["apt-get", *options, "-qq", "update"])
        version, packages = _packages(options)
        _run(["apt-get", *options, "-qq", "download", *packages], cwd=fresh)
        for package in fresh.glob("*.deb"):
            _run(["dpkg-deb", "-x", str(package), str(fresh / "root")])
            package.unlink()
    except NoKernel as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise NoKernel(f"{kernel.name} ({kernel.suite}): {error}") from None
    shutil.rmtree(fresh / "lists")
    (fresh / "version").write_text(version + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
