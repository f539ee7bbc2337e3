# What the tests beside this share: the layer that makes it hard for programs, its report, and the seed.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import re

from harness import ROOT

# Ticks ten times as often; with one of the words behind --append (account.c) programs are killed at random.
HARD = ("--layer", str(ROOT / "tests/hostile/layers/soak"))
KILLED_OFTEN = ("--append", "killed-often")
LOT = "the layer's lot"

# The same each time, unless one is asked for: RINGSTEP_SEED=77 make test TESTS=tests/hostile
SEED = int(os.environ.get("RINGSTEP_SEED", "1"))

ACCOUNT = re.compile(rb"^account: (\d+) of (\d+) frames are back, (\d+) of (\d+) stacks are in use; "
                     rb"(\d+) switches, (\d+) ticks$", re.MULTILINE)


def check_account(log: bytes) -> int:
    """Frames and stacks are all back at the end. Gives how many switches there were."""
    found = ACCOUNT.search(log)
    assert found, f"seed {SEED}: nobody took stock\n{log[-3000:].decode(errors='replace')}"
    frames, frames_wanted, stacks, stacks_wanted, switches, _ = map(int, found.groups())
    assert (frames, stacks) == (frames_wanted, stacks_wanted), f"seed {SEED}: {found[0].decode()}"
    return switches
