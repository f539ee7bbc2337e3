# The first commands of the README, which a newcomer types: that they are few, and the ones that other tests run.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re

from harness import ROOT


def test_three_commands_to_a_stepped_swapgs():
    """Clone, go there, step; and one letter at the prompt, which tests/stepping/test_step.py types. Seen to fail: with a
    command more, and with another stage."""
    block = re.search(r"^```\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert block and len(block[1].splitlines()) <= 3
    clone, enter, step = block[1].splitlines()
    assert re.fullmatch(r"git clone \S+ ringstep", clone) and enter == "cd ringstep" and step == "make step STAGE=03"
