# The table against the code, and the survivors against the reasons. Used by the tests of tests/ablation.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from collections import Counter
from typing import Any, Iterable

from layers import ROOT

from .probes import Probe
from .scope import SYSTEM_REGISTER, Instruction
from .table import Row, covers, place_of, reasons, stands

# The kernels, and the routines whose instructions are taken away: of the last stage all; of the others what it
# replaces, or what only they need.
ONLY: dict[str, tuple[str, ...]] = {"05": (), "04": ("switch_stacks",), "03": ("idt_init",)}


def name(row: Row) -> str:
    return f"{row['stage']} {row['label']} ({row['text']})"


def differences(rows: Iterable[Row], found: Iterable[Instruction]) -> list[str]:
    """What the table lacks, has too much, or says of a routine that is another one now."""
    known = {place_of(row): row for row in rows}
    there = {one.place: one for one in found}
    wrong = [f"not in the table: {one.stage} {one.label} ({one.text})" for place, one in there.items()
             if place not in known]
    wrong += [f"no such instruction: {name(row)}" for place, row in known.items() if place not in there]
    return wrong + [f"the routine has changed: {name(row)}" for place, row in known.items()
                    if place in there and row["routine_hash"] != there[place].routine_hash]


def stale(rows: Iterable[Row], found: Iterable[Instruction], probes: dict[str, Probe]) -> list[str]:
    """The rows that the next tools/ablate tries anew: what noticed the loss is another run now, or nothing did, and
    there are other runs to try."""
    there = {one.place: one for one in found}
    return [f"its runs are others now (run make ablate): {name(row)}" for row in rows
            if place_of(row) in there and not stands(row, there[place_of(row)], probes)]


def told_by(stage: str, routine: str, file: str, text: str) -> tuple[str, ...]:
    """What is the same whatever the compiler: in assembly routine and text, but for distances; in C which instruction
    it is. How often, and with which registers, is the compiler's choice, and so is which line it gives for it."""
    if file.endswith(".S"):
        return stage, routine, re.sub(r"\.\+0x[0-9a-f]+", ".", text)
    register = SYSTEM_REGISTER.search(text)
    return stage, "C", text.split()[0], register[1] if register else ""


def differences_by_text(rows: Iterable[Row], found: Iterable[Instruction]) -> list[str]:
    """The same for a kernel of another compiler than the table's."""
    known = Counter(told_by(row["stage"], row["routine"], row["file"], row["text"]) for row in rows)
    there = Counter(told_by(one.stage, one.routine, one.file, one.text) for one in found)
    for counted in (known, there):
        for key in [key for key in counted if len(key) == 4]:       # C's
            counted[key] = 1
    return [f"not in the table: {' '.join(key)}" for key in there - known] + [
        f"no such instruction: {' '.join(key)}" for key in known - there]


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
