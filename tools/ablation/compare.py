# The table against the code, and the survivors against the reasons. Used by the tests of tests/ablation.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from typing import Any, Iterable

from layers import ROOT

from .scope import Instruction
from .table import Row, covers, place_of, reasons

# The kernels, and the routines whose instructions are taken away: of the last stage all; of the others what it
# replaces, or what only they need.
ONLY: dict[str, tuple[str, ...]] = {"05": (), "04": ("switch_stacks",), "03": ("idt_init",)}


def name(row: Row) -> str:
    return f"{row['stage']} {row['label']} ({row['text']})"


def differences(rows: Iterable[Row], found: Iterable[Instruction], by_hash: bool) -> list[str]:
    """What the table lacks, has too much, or says of a routine that is another one now."""
    known = {place_of(row): row for row in rows}
    there = {one.place: one for one in found}
    wrong = [f"not in the table: {one.stage} {one.label} ({one.text})" for place, one in there.items()
             if place not in known]
    wrong += [f"no such instruction: {name(row)}" for place, row in known.items() if place not in there]
    if by_hash:
        wrong += [f"the routine has changed: {name(row)}" for place, row in known.items()
                  if place in there and row["routine_hash"] != there[place].routine_hash]
    return wrong


def wrong_survivors(rows: Iterable[Row], survivors: list[dict[str, Any]]) -> list[str]:
    """What nothing notices and has no reason to stay, and reasons for what is noticed or is not there at all."""
    unnoticed = [row for row in rows if "probe" not in row]
    wrong = [f"nothing notices it, and no reason is given: {name(row)}" for row in unnoticed
             if not reasons(row, survivors)]
    return wrong + [f"a reason for nothing: {reason['text']} in {reason['where']}" for reason in survivors
                    if not any(covers(reason, row) for row in unnoticed)]


def guard_exists(guard: str) -> bool:
    """Whether a file holds what guards a survivor: 'path::name', where name is a test's, or stands in the file."""
    path, _, wanted = guard.partition("::")
    file = ROOT / path
    return file.is_file() and bool(re.search(rf"\b{re.escape(wanted)}\b", file.read_text()))
