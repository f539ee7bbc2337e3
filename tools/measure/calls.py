# What it costs to enter the kernel and to leave it: system calls, interrupts, switches; in instructions.
# A group of tools/measure; the test of the baseline runs it, too.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from . import guest, path
from .figures import CannotMeasure, Figures, Group, Row


GETPID, YIELD = 39, 24
PASSED = 4      # calls that are let pass before one is looked at: the first ones of a program differ


def parts(modules: list[str], number: int) -> str:
    """Where the instructions go, as Bochs executes them; empty where there is no Bochs."""
    try:
        return path.parts(path.record_call(modules, number, PASSED))
    except CannotMeasure as error:
        return f"without its parts: {error}"


def add_calls(figures: Figures) -> None:
    results = guest.run(["calls"])
    figures.rows += [
        Row("calls.getpid", "null system call (getpid)", "instructions", guest.instructions(results, "getpid"),
            most=80, exact=True, note=f"SYSCALL itself, {parts(['calls getpid'], GETPID)}"),
        Row("calls.unknown", "system call that does not exist", "instructions",
            guest.instructions(results, "unknown"), exact=True),
        Row("calls.yield-alone", "sched_yield with nobody else to run", "instructions",
            guest.instructions(results, "yield"), most=150, exact=True,
            note=f"SYSCALL itself, {parts(['calls yield'], YIELD)}"),
    ]


def switch(results: guest.Results) -> float:
    """Two programs yield in turn, so that one's round is two loops, two system calls and two switches."""
    loop = results["loop"][0].instructions - 1
    return round(results["yield"][0].instructions / 2 - loop, 3)


def add_switch(figures: Figures) -> None:
    results = guest.run(["calls copies=2 yield"])
    figures.rows.append(Row("calls.switch", "sched_yield to another process", "instructions, per switch",
                            switch(results), most=350, exact=True,
                            note=f"SYSCALL itself, {parts(['calls yield', 'calls yield'], YIELD)}"))


GROUP = Group("calls", "entering the kernel, leaving it, and switching, in instructions",
              [("system calls", add_calls), ("switches", add_switch)])
