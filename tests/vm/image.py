# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the initial RAM disk: busybox, the modules that a kernel has not built in, and the first
program, which lays a writable layer over the host's file tree and runs the tests in there.
"""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

MODULES = ("virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci",
           "fuse", "virtiofs", "overlay", "virtio_blk", "sch_netem", "veth",
           "inet_diag", "tcp_diag",
           "libcrc32c", "udp_tunnel", "ip6_udp_tunnel", "sctp",
           "loop", "dax", "dm-mod", "mq-deadline", "bfq")  # fmt: skip
"""In the order of their needs, as far as there is one; the first program tries several times.
From netem on they are for tests of the network, from loop on for those of disks."""

INIT = r"""#!/bin/busybox sh
# Owns the guest's life: mounts, one command, its status into the results, power off.
b=/bin/busybox
lost() { echo "guest: $1" >/dev/console; $b poweroff -f; }
$b mkdir -p /proc /sys /dev /results /tree /new
$b mount -t proc none /proc
$b mount -t sysfs none /sys
$b mount -t devtmpfs none /dev
for again in 1 2 3 4 5; do
	for module in /modules/*.ko; do
		[ -e "$module" ] && $b insmod "$module" 2>/dev/null && $b rm "$module"
	done
done
$b mount -t virtiofs results /results || lost "no share for the results"
$b mount -t tmpfs -o size=75% none /new
$b mkdir /new/host /new/upper /new/work /new/root
$b mount -t virtiofs -o ro tree /new/host || lost "no share of the file tree"
$b mount -t overlay -o lowerdir=/new/host,upperdir=/new/upper,workdir=/new/work none /new/root ||
	lost "no overlay"
root=/new/root
$b mount -t proc none $root/proc
$b mount -t sysfs none $root/sys
$b mount --move /dev $root/dev
$b mkdir -p $root/dev/pts $root/dev/shm
$b mount -t devpts -o ptmxmode=666 none $root/dev/pts
for place in /dev/shm /run; do $b mount -t tmpfs none $root$place; done
$b mkdir -p $root/run/results
$b mount --bind /results $root/run/results
for kind in tracefs:kernel/tracing debugfs:kernel/debug securityfs:kernel/security bpf:fs/bpf \
	cgroup2:fs/cgroup; do
	$b mount -t "${kind%%:*}" none "$root/sys/${kind#*:}"
done
$b ip link set lo up
$b hostname guest
$b chroot $root /bin/bash /run/results/command >/results/output 2>&1
echo $? >/results/status
$b dmesg >/results/dmesg
$b sync
$b poweroff -f
"""


def module_text(packages: Path, name: str) -> bytes | None:
    """The module's bytes; None when the kernel has it built in."""
    for found in packages.rglob(f"{name}.ko*"):
        if found.suffix == ".xz":
            return lzma.decompress(found.read_bytes())
        return found.read_bytes()
    return None


def vmlinuz(packages: Path) -> Path:
    """Where the packages keep the kernel itself: in /boot, or beside its modules."""
    for pattern in ("boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz", "lib/modules/*/vmlinuz"):
        for found in packages.glob(pattern):
            return found
    raise FileNotFoundError(f"no kernel in {packages}")


def build(packages: Path, target: Path) -> None:
    """Writes the RAM disk to `target`."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise FileNotFoundError("busybox is not installed")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "bin").mkdir()
        (folder / "modules").mkdir()
        shutil.copy(busybox, folder / "bin" / "busybox")
        for name in MODULES:
            text = module_text(packages, name)
            if text is not None:
                (folder / "modules" / f"{name}.ko").write_bytes(text)
        (folder / "init").write_text(INIT)
        (folder / "init").chmod(0o755)
        names = "\n".join(
            os.path.relpath(os.path.join(where, name), folder)
            for where, folders, files in os.walk(folder)
            for name in [*folders, *files]
        )
        with target.open("wb") as file:
            subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=names.encode(),
                           stdout=file, cwd=folder, check=True)  # fmt: skip
