# An unprivileged user with limits, for root in a container that forbids name spaces, as Gradescope's does. Weaker than
# bubblewrap: the code reads what all may read, so the grader's files must not be of that kind, which is checked.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import users
from .base import Limits, Sandbox, Sandboxed
from .users import SandboxError

KEEPER = Path(__file__).with_name("keeper.py")


class Kept(Sandboxed):
    """The keeper of a command. It must not be killed before it has ended what it keeps."""

    def send_signal(self, number: int) -> None:
        super().send_signal(signal.SIGTERM if number == signal.SIGKILL else number)


class UnprivilegedUser(Sandbox):
    name = "user"
    process_class = Kept

    def check(self) -> None:
        if os.geteuid() != 0:
            raise SandboxError("--sandbox user runs a submission's code as another user, which root alone can do: "
                               "run the grader as root, or with bubblewrap (--sandbox bubblewrap)")
        if self.group is None:
            self.group, _ = users.claim()

    def hides(self, path: Path) -> bool:
        """Asked of the kernel, by one who has become such a user."""
        # X_OK: through a folder that cannot be read, what lies in it can be reached by its name.
        program = "import os, sys; sys.exit(any(os.access(sys.argv[1], how) for how in (os.R_OK, os.W_OK, os.X_OK)))"
        done = subprocess.run([sys.executable, "-I", "-S", "-c", program, path.resolve()], user=users.IDS.start,
                              group=self.group, extra_groups=[], cwd="/", stdin=subprocess.DEVNULL)
        return done.returncode == 0

    def temporary(self, folder: Path) -> str:
        return str(folder)

    def options(self) -> dict[str, Any]:
        return {"start_new_session": True}      # in ours it could write to our terminal, as if we had typed it

    def command(self, command: list[str], folder: Path, read: tuple[Path, ...], limits: Limits,
                user: int | None) -> list[str]:
        return [sys.executable, "-I", "-S", str(KEEPER), str(os.getpid()), str(user), str(self.group),
                *limits.command(), *command]
