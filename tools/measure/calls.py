# What it costs to enter the kernel and to leave it: system calls, interrupts, switches; in instructions.
# A group of tools/measure; the test of the baseline runs it, too.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from . import guest, path
from .figures import CannotMeasure, Figures, Group, Row


GETPID, YIELD, UNKNOWN = 39, 24, 499
PASSED = 4      # calls that are let pass before one is looked at: the first ones of a program differ


def parts(modules: list[str], number: int, counted: float) -> str:
    """Where the instructions go, as Bochs executes them: as many as QEMU counts, or one of the two is wrong."""
    try:
        way = path.record_call(modules, number, PASSED)
    except CannotMeasure as error:
        return f"without its parts: {error}"
    told = f"SYSCALL itself, {path.parts(way)}"
    if abs(1 + len(way) - counted) > 0.5:
        raise CannotMeasure(f"QEMU counts {counted:g} instructions, but {1 + len(way)} are executed: {told}")
    return told


def call(results: guest.Results, name: str, number: int, key: str, what: str, most: float | None = None) -> Row:
    counted = guest.instructions(results, name)
    return Row(f"calls.{key}", what, "instructions", counted, most=most, exact=True,
               note=parts([f"calls {name}"], number, counted))


def add_calls(figures: Figures) -> None:
    results = guest.run(["calls"])
    figures.rows += [
        call(results, "getpid", GETPID, "getpid", "null system call (getpid)", most=80),
        call(results, "unknown", UNKNOWN, "unknown", "system call that does not exist"),
        call(results, "yield", YIELD, "yield-alone", "sched_yield with nobody else to run", most=150),
    ]


def switch(results: guest.Results) -> float:
    """Two programs yield in turn, so that one's round is two loops, two system calls and two switches."""
    loop = results["loop"][0].instructions - 1
    return round(results["yield"][0].instructions / 2 - loop, 3)


def add_switch(figures: Figures) -> None:
    results = guest.run(["calls copies=2 yield"])
    counted = switch(results)
    figures.rows.append(Row("calls.switch", "sched_yield to another process", "instructions, per switch", counted,
                            most=350, exact=True, note=parts(["calls yield", "calls yield"], YIELD, counted)))


GROUP = Group("calls", "entering the kernel, leaving it, and switching, in instructions",
              [("system calls", add_calls), ("switches", add_switch)])
