# Sandboxes for what belongs to a submission: the compiler that reads it and the emulator that runs its kernel.
# tools/grading/work.py starts everything of that kind by Sandbox.start(); tools/grade chooses which one.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from .base import Limits, Sandbox, Sandboxed
from .users import SandboxError

NAMES = ("bubblewrap", "user", "none")

__all__ = ["NAMES", "Limits", "Sandbox", "SandboxError", "Sandboxed", "choose"]


def choose(name: str = "bubblewrap") -> Sandbox:
    """The sandbox of that name, once it was seen to work here; otherwise a SandboxError says what to do."""
    from .bubblewrap import Bubblewrap
    from .none import NoSandbox
    from .unprivileged import UnprivilegedUser
    kinds = {"bubblewrap": Bubblewrap, "user": UnprivilegedUser, "none": NoSandbox}
    if name not in kinds:
        raise SandboxError(f"there is no sandbox '{name}'; there are {', '.join(NAMES)}")
    sandbox = kinds[name]()
    sandbox.check()
    return sandbox
