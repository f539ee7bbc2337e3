# Says what the checks have found, for a person: source line, symbol, rule, and the states on the way there.
# Used by tools/check-entry.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from typing import Iterator

from .explore import Finding
from .image import Image
from .state import State
from .sweep import Misplaced

LAST = 12       # of a way, these instructions are shown in any case


def misplaced(image: Image, found: Misplaced) -> str:
    if not found.address:
        return f"{found.rule}: {found}"
    return (f"{image.line(found.address) or '(no source line)'}: {found.rule}: {found}\n"
            f"    at {image.place(found.address)} ({found.address:#x})")


def finding(image: Image, found: Finding, whole: bool) -> str:
    state = found.state
    path = found.path()
    lines = [f"{image.line(state.pc) or '(no source line)'}: {found.rule}: {found.text}",
             f"    at {image.place(state.pc)} ({state.pc:#x}): {words(image, state)}",
             f"    by way of: {state.scenario.name}, {len(path)} instructions; in front of each, the state is:"]
    return "\n".join([*lines, *way(image, path, whole)])


def words(image: Image, state: State) -> str:
    insn = image.instruction(state.pc, state.bits)
    return f"{insn.mnemonic} {insn.op_str}".strip()


def way(image: Image, path: list[State], whole: bool) -> Iterator[str]:
    """The states on the way; of a long one those that differ from the one before, and the last."""
    shown = -1
    for number, state in enumerate(path):
        near = number >= len(path) - LAST
        before = path[number - 1] if number else None
        jumped = before is not None and not 0 < state.pc - before.pc < 16
        same = before is not None and told(before) == told(state)
        if whole or near or jumped or not same:
            if number > shown + 1:
                yield "      ..."
            shown = number
            yield f"      {image.place(state.pc):28} {state.describe()}  {words(image, state)}"


def told(state: State) -> str:
    """What a reader wants to see change: all but how far the stack has grown."""
    return state.describe().replace(state.describe().split("stack=")[1].split()[0], state.stack)
