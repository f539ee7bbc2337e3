# What a switch between programs does, and what it does not: the instructions that Bochs executes for one sched_yield.
# Seen to fail: with each `if` of user_state_load() gone, and with a lone task that is switched to itself in sched.c.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest
from measure import calls, guest, path

pytestmark = pytest.mark.needs("qemu", "grub", "bochs")


def count(way: list[path.Instruction], *texts: str) -> int:
    return sum(any(one.text.startswith(text) for text in texts) for one in way)


def test_nobody_else():
    """No register of the CPU's own is written, no state saved; and it is as long as QEMU counts it."""
    way = path.record_call(["calls yield"], calls.YIELD, calls.PASSED)
    assert count(way, "mov cr3", "wrmsr", "fxsave", "fxrstor", "rdmsr") == 0
    assert len(way) + 1 == guest.instructions(guest.run(["calls yield"]), "yield")     # SYSCALL itself


def test_another_program():
    """A full switch: one other address space, and everything that a program can see; but FS and GS bases are the same in
    both, so no MSR is written."""
    way = path.record_call(["calls yield", "calls yield"], calls.YIELD, calls.PASSED)
    assert count(way, "mov cr3") == 1
    assert count(way, "fxsave") == count(way, "fxrstor") == 1
    assert count(way, "wrmsr") == 0
    assert len(way) + 1 == round(calls.switch(guest.run(["calls copies=2 yield"])))
