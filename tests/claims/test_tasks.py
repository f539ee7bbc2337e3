# What stage 04 claims: tasks take turns whether they want or not, and no flag of one reaches another. Each claim is
# tried on the stage as it is, and again on one that lacks the line which the claim is about: then it must fail.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re

import pytest
from claims.changes import PROGRAMS, attempt, change, layer, on_top, variant

sound_and_broken = pytest.mark.parametrize("broken", [False, True], ids=["sound", "broken"])


# The stack keeps its form, but the word of RFLAGS on it is not loaded; nor is it stored where that is done always.
WITHOUT_FLAGS = {"04": [("    pushfq\n", "    push    2\n"), ("    popfq  ", "    lea     rsp, [rsp + 8]  ")],
                 "05": [("    jz      1f\n", "    jmp     1f\n")]}


@pytest.mark.parametrize("emulator", ["qemu", "bochs"])
@pytest.mark.parametrize("stage", WITHOUT_FLAGS)
@sound_and_broken
def test_flags_stay_with_their_thread(emulator, stage, broken):
    """Also where POPFQ is left out if it would change nothing."""
    changed = variant("no-popfq", stage, "kernel/switch.S", *WITHOUT_FLAGS[stage])
    result = attempt(stage, ["hello"], "--emulator", emulator, *on_top(changed if broken else ""))
    assert (result.code == 0) is not broken
    for line in (rb"kernel thread \d+: switched 5 times with DF, AC and ID set, and kept them\n",
                 rb"kernel thread \d+: switched 5 times with them clear, and never saw them\n"):
        assert bool(re.search(line, result.log)) is not broken
    assert (b"panic: " in result.log) is broken


@sound_and_broken
def test_a_program_without_system_calls_is_preempted(broken):
    """It was started first, and makes no system call at all, yet the other one ends before it."""
    changed = variant("no-timer", "04", "kernel/main.c", ("    clock_start_ticks();", "    "))
    result = attempt("04", ["spin 300", "hello"], *PROGRAMS, *on_top(changed if broken else ""))
    assert sorted((task.command, task.status) for task in result.tasks) == [("hello", 0), ("spin 300", 132)]
    assert (result.tasks[0].command == "hello") is not broken


@sound_and_broken
def test_every_task_has_its_ticks(broken):
    """Two copies of count take many turns. With the interrupt ended only after the switch, the first one is preempted
    once, and then there are no more ticks until it is its turn again: never before the other one has ended."""
    files = [change("04", "kernel/clock.c", ("    lapic_write(LAPIC_EOI, 0); /* before", "    /* before")),
             change("04", "kernel/user_return.c", ("        schedule(); /*", "        schedule(), lapic_write(LAPIC_EOI, 0); /*"),
                    ("#include <kernel/sched.h>\n", "#include <kernel/lapic.h>\n#include <kernel/sched.h>\n"))]
    changed = layer("late-eoi", *files)
    result = attempt("04", ["count copies=2 8"], *on_top(changed if broken else ""))
    turns = re.findall(rb"^count: task (\d+) counts \d+$", result.log, re.MULTILINE)
    changes = sum(a != b for a, b in zip(turns, turns[1:]))
    assert len(turns) == 16
    assert (changes > 2) is not broken
