# bubblewrap: name spaces in which there is the system, read-only, and the work folder; no network, no home, no other
# process. The default. As root, the command is another user besides: root has no limit on processes.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import users
from .base import Limits, Sandbox
from .users import SandboxError

SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")     # links into /usr, on most systems
SETTINGS = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d")
TEMPORARY = 64 << 20        # bytes of /tmp, which is memory
ADVICE = """\
bubblewrap cannot be used here: {why}.
A submission's code would run without a sandbox, so nothing is graded. What can be done:
  - install it (Debian, Ubuntu: apt-get install bubblewrap; Fedora: dnf install bubblewrap; Arch: pacman -S bubblewrap),
    and let users make name spaces (sysctl kernel.unprivileged_userns_clone=1 or \
kernel.apparmor_restrict_unprivileged_userns=0);
  - in a container that forbids it: --sandbox user, as root, which runs the code as an unprivileged user with limits;
  - for what you have written yourself: --no-sandbox."""


class Bubblewrap(Sandbox):
    name = "bubblewrap"

    def check(self) -> None:
        if not shutil.which("bwrap"):
            raise SandboxError(ADVICE.format(why="it is not installed"))
        if os.geteuid() == 0 and self.group is None:
            self.group, _ = users.claim()
        with tempfile.TemporaryDirectory(prefix="ringstep-grade-") as folder:
            process = self.start(["true"], Path(folder), stderr=subprocess.PIPE, text=True, errors="replace")
            try:
                _, said = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise SandboxError(ADVICE.format(why="it does not end")) from None
        if process.returncode != 0:
            raise SandboxError(ADVICE.format(why=(said.strip() or "it fails").splitlines()[-1].rstrip(".")))

    def hides(self, path: Path) -> bool:
        return not any(path.resolve().is_relative_to(place) for place in ("/usr", *SETTINGS))

    def command(self, command: list[str], folder: Path, read: tuple[Path, ...], limits: Limits,
                user: int | None) -> list[str]:
        bwrap = ["bwrap", "--die-with-parent", "--new-session", "--unshare-ipc", "--unshare-pid", "--unshare-net",
                 "--unshare-uts", "--unshare-cgroup-try", "--hostname", "grader"]
        bwrap += ["--ro-bind", "/usr", "/usr"]
        for path in SYSTEM:
            if os.path.islink(path):
                bwrap += ["--symlink", os.readlink(path), path]
            elif os.path.isdir(path):
                bwrap += ["--ro-bind", path, path]
        bwrap += ["--perms", "0755", "--dir", "/etc"]
        for path in SETTINGS:
            bwrap += ["--ro-bind-try", path, path]
        bwrap += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev", "--perms", "1777",
                  "--size", str(TEMPORARY), "--tmpfs", "/tmp"]
        # Below /tmp, perhaps: so after it. A parent that bwrap makes by itself is closed to others if the folder is.
        for parent in dict.fromkeys(parent for path in (*read, folder) for parent in reversed(path.parents)):
            if parent not in (Path("/"), Path("/tmp"), Path("/usr")):
                bwrap += ["--perms", "0755", "--dir", str(parent)]
        for path in read:
            bwrap += ["--ro-bind", str(path), str(path)]
        bwrap += ["--bind", str(folder), str(folder), "--chdir", str(folder), "--remount-ro", "/"]
        return bwrap + self.drop(user) + limits.command() + command

    def drop(self, user: int | None) -> list[str]:
        """How the command becomes somebody who may nothing."""
        if user is None:
            # Limits are set inside: processes are counted within the user name space.
            return ["--unshare-user", "--disable-userns", "--cap-drop", "ALL", "--"]
        return ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--",
                "setpriv", f"--reuid={user}", f"--regid={self.group}", "--clear-groups", "--no-new-privs", "--"]
