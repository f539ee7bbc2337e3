# Kernels that are wrong in one line, each with the rule that must say so. The rules are those of tools/check-entry.
# Used by test_entry.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from static.wrong_entries import GS, STACKS
from static.wrong_flags import FLAGS, FRAMES
from static.wrong_places import FLOW, PLACES, SWITCHES

ALL = [*GS, *STACKS, *FLAGS, *FRAMES, *SWITCHES, *FLOW, *PLACES]
