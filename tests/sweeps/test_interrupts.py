# The timer's interrupt at every instruction of the kernel's paths at which interrupts are on, and kernels which do not
# bear that. docs/maintaining/sweeps.md has how it works.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest
from sweeps.broken import broken

from sweeping.interrupts import RUNS, Swept, sweep

pytestmark = pytest.mark.needs("qemu", "grub", "bochs")
# Between the timer's start and the program: instructions that are recorded and in which no round can end.
BEFORE = 20
# The only instruction of the entries and exits before which interrupts are on: behind the call in syscall_entry.
ON_IN_ASSEMBLY = {("syscall_entry", "cli")}
ASSEMBLY = {"syscall_entry", "interrupt_entry", "interrupt_return", "interrupt_stubs", "ist_entry",
            "paranoid_entry", "switch_stacks", "task_begin"}


def by_path(found: list[Swept]) -> dict[str, list[str]]:
    return {swept.path: swept.faults for swept in found}


@pytest.mark.parametrize("run", RUNS)
def test_every_boundary(run):
    """Every boundary with IF=1 is struck, none with IF=0, in both emulators; every register, flag, RSP, the memory
    around it, both bases and XMM are as before. Seen to fail: with each of the kernels below."""
    for swept in sweep(run):
        assert not swept.faults, (swept.path, swept.emulator)
        assert swept.rounds > swept.boundaries - BEFORE - swept.masked["page_fault"], "rounds were left out"
        assert swept.places <= swept.open <= swept.boundaries
        assert {one for one in swept.verbs if one[0] in ASSEMBLY} <= ON_IN_ASSEMBLY


@pytest.mark.heavy
def test_sti_too_early():
    """Between the two rounds at which nothing happens lies the one instruction at which the program's RSP is lost: the
    boundary before `push gs:[PCR_USER_RSP]`, in every system call."""
    found = sweep("calls", ("qemu",), broken("sti-too-early"))
    for path in ("syscall", "switch", "user-copy", "user-copy-fault"):
        faults = by_path(found)[path]
        assert len(faults) == 1 and "struck at syscall_entry.step4+0x2, rsp should be " in faults[0], faults
        assert "and is 0xbad0bad0bad0bad0" in faults[0]


@pytest.mark.heavy
@pytest.mark.parametrize("name, run, path, complaint", [
    ("no-cli", "calls", "syscall", "panic: CPU 0: #DF"),
    ("sfmask-without-if", "first-run", "first-run", "panic: CPU 0: #DF"),
    ("no-eoi", "calls", "syscall", "syscall_dispatch (add"),
    ("no-clac", "calls", "syscall", "interrupts found DF, AC, GS base or the stack not as C wants it"),
    ("page-fault-by-trap-gate", "calls", "interrupt", "panic: CPU 0: #PF (page fault) in ring 0"),
    ("sti-before-the-test", "idle", "idle", "wake-ups were lost"),
    ("first-run-with-if", "first-run", "first-run", "the run ended with code 124"),
])
def test_broken_kernels_are_noticed(name, run, path, complaint):
    found = sweep(run, ("qemu",), broken(name), patience=30)
    assert any(complaint in fault for fault in by_path(found)[path]), found


@pytest.mark.heavy
def test_a_broken_kernel_is_noticed_in_bochs():
    found = sweep("idle", ("bochs",), broken("sti-before-the-test"))
    assert any("wake-ups were lost" in fault for fault in found[0].faults), found
