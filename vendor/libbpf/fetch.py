#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the way libbpf's source gets here: the pinned release tarball, checked, unpacked to `tree/`.

From LIBBPF_TARBALL=path if set, else as a source package from the mirror that this machine's apt
is set up with. It needs no root and names no host. A tree that is there already is left alone.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TREE = HERE / "tree"
MARK = "UPSTREAM"
"""In the tree: which tarball it came from."""
APT_GET = "/usr/bin/apt-get"
APT_CACHE = "/usr/bin/apt-cache"


class FetchError(Exception):
    """Says in words what could not be fetched and what would help."""


def read_pin() -> dict[str, str]:
    pin = {}
    for line in (HERE / "PIN").read_text("ascii").splitlines():
        if line and not line.startswith("#"):
            key, _, value = line.partition("=")
            pin[key.strip()] = value.strip()
    return pin


def fetch() -> Path:
    """The unpacked tree: `bpf/` (sources and headers of libbpf) and `include/`."""
    pin = read_pin()
    mark = TREE / MARK
    if mark.exists() and mark.read_text("ascii") == pin["sha256"]:
        return TREE
    given = os.environ.get("LIBBPF_TARBALL")
    with tempfile.TemporaryDirectory(prefix="libbpf-", dir=HERE) as folder:
        work = Path(folder)
        tarball = Path(given) if given else _from_mirror(pin, work)
        _check(tarball, pin["sha256"])
        _unpack(tarball, work / "tree", pin["sha256"])
        shutil.rmtree(TREE, ignore_errors=True)
        (work / "tree").rename(TREE)
    return TREE


def _check(tarball: Path, sha256: str) -> None:
    try:
        found = hashlib.sha256(tarball.read_bytes()).hexdigest()
    except OSError as error:
        raise FetchError(f"{tarball}: {error.strerror}") from None
    if found != sha256:
        raise FetchError(f"{tarball.name} has SHA-256 {found}, pinned is {sha256}")


def _unpack(tarball: Path, tree: Path, sha256: str) -> None:
    """Keeps src/ (as bpf/, so that <bpf/libbpf.h> is found), include/ and the licences."""
    with tarfile.open(tarball) as archive:
        for member in archive.getmembers():
            _, _, path = member.name.partition("/")
            if not member.isfile() or ".." in path.split("/"):
                continue
            if path.startswith("src/"):
                path = "bpf/" + path[4:]
            elif not path.startswith(("include/", "LICENSE")):
                continue
            source = archive.extractfile(member)
            if source is None:
                continue
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(source.read())
    (tree / MARK).write_text(sha256, "ascii")


def _run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FetchError(f"{command[0]}: {done.stderr.strip().splitlines()[-1:] or 'failed'}")
    return done.stdout


def _mirrors() -> list[str]:
    """Where this machine's apt gets Debian from, in its own order."""
    if not Path(APT_GET).exists():
        raise FetchError(
            "no apt-get here: download libbpf's release tarball and set LIBBPF_TARBALL=path"
        )
    known = _run(APT_GET, "indextargets", "--format", "$(LABEL) $(REPO_URI)")
    if not known.strip() and os.geteuid() == 0:
        # a machine image without package lists
        _run(APT_GET, "-qq", "update")
        known = _run(APT_GET, "indextargets", "--format", "$(LABEL) $(REPO_URI)")
    pairs = [line.rpartition(" ") for line in known.splitlines()]
    found = list(dict.fromkeys(uri for label, _, uri in pairs if label == "Debian"))
    if not found:
        raise FetchError(
            "apt knows no mirror of Debian: run `apt-get update` once as root,"
            " or download libbpf's release tarball and set LIBBPF_TARBALL=path"
        )
    return found


def _from_mirror(pin: dict[str, str], work: Path) -> Path:
    """The tarball of the first suite that carries the pinned upstream version."""
    for mirror in _mirrors():
        for suite in pin["suites"].split():
            try:
                found = _from_suite(pin, mirror, suite, work)
            except FetchError as error:
                print(f"libbpf: {suite}: {error}", file=sys.stderr)
                continue
            if found:
                return found
    raise FetchError(
        f"no suite of this machine's mirror carries libbpf {pin['version']}:"
        " download the release and set LIBBPF_TARBALL=path"
    )


def _from_suite(pin: dict[str, str], mirror: str, suite: str, work: Path) -> Path | None:
    """A private source list and private package lists: the machine's own stay as they are."""
    folder = Path(tempfile.mkdtemp(prefix=f"{suite}-", dir=work))
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True)
    source = folder / "sources.list"
    source.write_text(f"deb-src [signed-by={pin['keyring']}] {mirror} {suite} main\n", "utf-8")
    options = [f"-oDir::Etc::SourceList={source}", "-oDir::Etc::SourceParts=/dev/null"]
    options += [f"-oDir::State::Lists={folder}/lists", f"-oDir::Cache={folder}/cache"]
    options += ["-oAPT::Sandbox::User="]
    _run(APT_GET, "-qq", *options, "update")
    known = _run(APT_CACHE, *options, "showsrc", pin["package"])
    for version in _versions(known, pin["version"]):
        package = f"{pin['package']}={version}"
        _run(APT_GET, "-qq", *options, "source", "--download-only", package, cwd=folder)
        return folder / pin["tarball"]
    return None


def _versions(showsrc: str, upstream: str) -> list[str]:
    words = [line.split()[1] for line in showsrc.splitlines() if line.startswith("Version: ")]
    return [word for word in words if word == upstream or word.startswith(upstream + "-")]


if __name__ == "__main__":
    try:
        print(fetch())
    except FetchError as problem:
        sys.exit(f"libbpf: {problem}")
