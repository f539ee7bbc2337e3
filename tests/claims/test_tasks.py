# What stage 04 claims: tasks take turns whether they want or not, and no flag of one reaches another. Each claim is
# tried on the stage as it is, and again on one that lacks the line which the claim is about: then it must fail. Other
# such lines are the bugs of stage 04.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re

import pytest
from claims.changes import PROGRAMS, attempt, on_top, sound_and_broken, variant


# Stage 04 without RFLAGS in the switch is the bug switch-without-rflags (tests/bugs). Here, where POPFQ is left out if it
# would change nothing, it is left out always.
NEVER = ("    jz      1f\n", "    jmp     1f\n")


@pytest.mark.parametrize("emulator", ["qemu", "bochs"])
@sound_and_broken
def test_flags_stay_with_their_thread(emulator, broken):
    changed = variant("no-popfq", "05", "kernel/switch.S", NEVER)
    result = attempt("05", ["hello"], "--emulator", emulator, *on_top(changed if broken else ""))
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
