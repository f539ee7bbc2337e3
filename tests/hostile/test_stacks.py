# Exceptions with every kind of RSP, and system calls and ticks with it: the kernel never touches what a program's RSP
# points to. (System calls and ticks: tests/programs/stack.c; the others end the program.)
# SPDX-License-Identifier: MIT
#
# Seen to fail: with a push in front of the change of stacks in syscall_entry (a panic).
from __future__ import annotations

import pytest
from differential.runs import good_boot, module, run_on_host

# Of the PCR, of a stack of the kernel's, at the borders of both halves, not aligned, not canonical.
STACKS = ["0", "1", "7", "8", "1000", "7fffffffefff", "7ffffffffff8", "7fffffffffff", "800000000000",
          "dead000000000000", "ffff800000000000", "ffffc00000003ff8", "ffffffff80000000", "ffffffff80116001",
          "fffffffffffffff8", "ffffffffffffffff"]
ENDS = {"ud": ("#UD", 132), "bp": ("#BP", 133), "de": ("#DE", 136), "cli": ("#GP", 139), "pf_null_read": ("#PF", 139),
        "syscall": ("", 99)}


def test_host_agrees():
    for way, (_, status) in ENDS.items():
        for stack in STACKS:
            assert run_on_host("trap", way, "0", stack).status == status, (way, stack)


@pytest.mark.parametrize("emulator", ["qemu", pytest.param("bochs", marks=pytest.mark.heavy)])
def test_each_stack(emulator):
    modules = {f"trap {way} 0 {stack}": way for way in ENDS for stack in STACKS}
    result = good_boot("05", [module(*words.split()) for words in modules], "--emulator", emulator, timeout=240)
    ends = {task.command: (task.killed_by, task.status) for task in result.tasks}
    assert ends == {words: ENDS[way] for words, way in modules.items()}
