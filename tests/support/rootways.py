# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns how a user becomes root in tests: through the real sudo and su, in a mount namespace where
the user exists and may; the machine's own files stay as they are."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UID, GID = 4711, 4713
_ENTRIES = {
    "passwd": "ebtop-user:x:{uid}:{gid}::/:/bin/sh\n",
    "shadow": "ebtop-user:*:19000:0:99999:7:::\n",
    "group": "ebtop-user:x:4713:\n",
}
_SUDOERS = "ebtop-user ALL=(ALL:ALL) NOPASSWD: ALL\nroot ALL=(ALL:ALL) ALL\nDefaults !fqdn\n"
_MODES = {"passwd": 0o644, "group": 0o644, "shadow": 0o640, "sudoers": 0o440}
_ENTER = """
for file in passwd group shadow sudoers; do mount --bind "$1/$file" "/etc/$file" || exit; done
shift
exec "$@"
"""
SUDO_SETTINGS = {
    "as it comes": "",
    "a terminal of its own": "Defaults use_pty\n",
    "no process of its own": "Defaults !pam_session, !pam_setcred, !use_pty\n",
}


def why_no_sudo() -> str:
    """Empty where these ways are open."""
    if os.geteuid() != 0:
        return "only root can say who may use sudo"
    return "" if shutil.which("sudo") else "there is no sudo"


class Ways:
    """The words that start a command in that way."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sudo(self, *words: str, group: int = GID) -> list[str]:
        """As that user, through sudo."""
        enter = ["unshare", "-m", "sh", "-c", _ENTER, "sh", str(self._folder)]
        user = ["setpriv", f"--reuid={UID}", f"--regid={group}", "--clear-groups"]
        return [*enter, *user, shutil.which("sudo") or "sudo", "-n", *words]

    def shell_of_sudo(self, *words: str) -> list[str]:
        """By a shell that the user started through sudo."""
        return self.sudo("/bin/sh", self._script(words))

    def su(self, *words: str) -> list[str]:
        """By root's shell of su: a login as root."""
        return ["su", "-s", "/bin/sh", "root", "--", self._script(words)]

    def _script(self, words: tuple[str, ...]) -> str:
        """A shell that has this file tells nobody what is in it."""
        script = self._folder / "script"
        script.write_text(shlex.join(words) + "\nexit $?\n")
        return str(script)


@contextmanager
def ways(settings: str = "", group: int = GID) -> Iterator[Ways]:
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    folder.chmod(0o755)
    try:
        for name, entry in _ENTRIES.items():
            text = Path("/etc", name).read_text() + entry.format(uid=UID, gid=group)
            (folder / name).write_text(text)
        (folder / "sudoers").write_text(_SUDOERS + settings)
        for name, mode in _MODES.items():
            (folder / name).chmod(mode)
        yield Ways(folder)
    finally:
        shutil.rmtree(folder)
