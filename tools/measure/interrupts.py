# What an interrupt and an exception cost, from ring 3 and back, in instructions: counted by QEMU, and compared with the
# list of the instructions that the same kernel executes in Bochs.
# A group of tools/measure; the test of the baseline runs it, too.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from . import guest, path
from .figures import CannotMeasure, Figures, Group, Row

EMPTY = "empty-interrupt"       # the layer with handlers that do nothing
EXCEPTIONS = "interrupted exceptions"
BREAKPOINT, PAGE_FAULT, TIMER = 3, 14, 0x40
# The first ticks come while the kernel's threads still run; these are over then.
FIRST_TICKS = 16


def row(key: str, what: str, counted: float, module: str, vector: int, own: int = 0, layer: str = "",
        passed: int = 0) -> Row:
    """A figure with its parts. `own`: instructions of the program that are counted with it, besides the kernel's."""
    result = Row(f"interrupts.{key}", what, "instructions", counted, exact=True)
    try:
        way = path.record(module, vector, layer, passed)
    except CannotMeasure as error:
        result.note = f"without its parts: {error}"
        return result
    result.note = path.parts(way) + (", and the instruction itself" if own else "")
    # One that is interrupted during its loop has a few more, and the median has none of those.
    if abs(len(way) + own - counted) > 0.5:
        raise CannotMeasure(f"{what}: QEMU counts {counted:g} instructions, but {len(way) + own} are executed: "
                            f"{result.note}")
    return result


def add_empty(figures: Figures) -> None:
    results = guest.run([EXCEPTIONS], layer=EMPTY)
    figures.rows += [
        row("empty", "interrupt of a program, with a handler that only ends it", results["interrupt"][0].instructions,
            EXCEPTIONS, TIMER, layer=EMPTY),
        row("breakpoint", "int3 of a program, with a handler that does nothing",
            guest.instructions(results, "breakpoint"), EXCEPTIONS, BREAKPOINT, own=1, layer=EMPTY),
        # An instruction that faults is not executed, and QEMU does not count it.
        row("page-fault", "page fault of a program, with a handler that passes the instruction over",
            guest.instructions(results, "page-fault"), EXCEPTIONS, PAGE_FAULT, layer=EMPTY),
    ]


def add_tick(figures: Figures) -> None:
    results = guest.run(["interrupted"])
    figures.rows.append(
        row("tick", "tick of the clock, nobody else to run", results["interrupt"][0].instructions, "interrupted", TIMER,
            passed=FIRST_TICKS))


GROUP = Group("interrupts", "interrupts and exceptions from ring 3 and back, in instructions",
              [("empty handlers", add_empty), ("the tick of the clock", add_tick)])
