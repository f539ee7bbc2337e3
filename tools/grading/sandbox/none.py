# No sandbox: for a student who grades what they have written themselves, and for machines where nothing else works.
# A student's code can then do what its caller can. SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from .base import Limits, Sandbox, Sandboxed


class OwnGroup(Sandboxed):
    """A process that is ended with its group: make's compilers, and the like."""

    def send_signal(self, number: int) -> None:
        if number == signal.SIGKILL and self.poll() is None:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                pass
        else:
            super().send_signal(number)


class NoSandbox(Sandbox):
    name = "none"
    process_class = OwnGroup

    def hides(self, path: Path) -> bool:
        return True         # nothing is promised, so nothing is to be refused

    def options(self) -> dict[str, Any]:
        return {"start_new_session": True}

    def command(self, command: list[str], folder: Path, read: tuple[Path, ...], limits: Limits,
                user: int | None) -> list[str]:
        # The user's other processes count too, so that a number of processes cannot be said. setpriv: our death is
        # that of the first process at least.
        return ["setpriv", "--pdeathsig", "KILL", *limits.command(with_processes=False), *command]
