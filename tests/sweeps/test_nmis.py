# An NMI at every instruction of the entries and exits, with GS bases that do harm to a kernel that believes them; and
# within its own handler. docs/maintaining/sweeps.md has how it works.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re

import pytest
from harness import ROOT, boot
from sweeps.broken import broken

from machine.listing import Listing
from sweeping import nested
from sweeping.machines import Setup, layer
from sweeping.nmis import PATHS, sweep

pytestmark = pytest.mark.needs("qemu", "grub", "bochs")
ROUTINES = {"syscall_entry", "interrupt_entry", "interrupt_return", "ist_entry", "paranoid_entry", "switch_stacks",
            "task_begin"}
# Instructions of those routines that no path comes to, and why.
NOT_REACHED = {
    "switch_stacks": {"popf", "jmp"},       # only where the two tasks' flags differ, as those of kernel threads may
}
FILLS_UP = re.compile(r"\bnop\b|xchg\s+ax,ax")     # between two routines
IN_BOCHS = ("step-into-entry", "watch-into-entry", "break-at-entry", "switch")
NESTED = str(ROOT / "tests/sweeps/layers/nested-nmi")


def test_every_instruction_of_the_entries_and_exits():
    """The handler counts in its own PCR, and every register, both bases of GS and the memory below RSP are as before.
    Each instruction of the hand-written entries and exits was one of those that were struck. Seen to fail: with the
    kernels below; with a path left out."""
    found = sweep("qemu", "fake")
    assert [swept.faults for swept in found] == [{} for _ in found]
    assert {swept.path: swept.with_users_gs for swept in found if swept.with_users_gs > 10} == {"debug-in-kernel": 50}
    struck = {place.rip for swept in found for place in swept.places}
    listing = Listing(Setup((layer("hostile"),)).elf)
    missed = [(listing.function(address), text) for address, text in listing.instructions.items()
              if listing.function(address) in ROUTINES and address not in struck and not FILLS_UP.search(text)]
    unexplained = [one for one in missed if one[1].split()[0] not in NOT_REACHED.get(one[0], ())]
    assert not unexplained


@pytest.mark.parametrize("gs", ["kernel", "zero"])
def test_other_bases_of_gs(gs):
    """Seen to fail: with nmi-asks-cs, which counts into wherever the base points, or faults."""
    found = sweep("qemu", gs, ("syscall", "interrupt", "debug", "debug-in-kernel"))
    assert [swept.faults for swept in found] == [{} for _ in found]


@pytest.mark.heavy
def test_debug_exceptions_in_the_entry():
    """In Bochs the single step of a program that executes SYSCALL, MOV SS before it, and a breakpoint of the CPU each
    give #DB at the first instruction of syscall_entry, with the program's GS: an NMI at each instruction of that
    handler."""
    found = {swept.path: swept for swept in sweep("bochs", "fake", IN_BOCHS)}
    assert {path: swept.faults for path, swept in found.items()} == {path: {} for path in IN_BOCHS}
    for path in IN_BOCHS[:3]:
        assert found[path].by_routine()["paranoid_entry"] == 49 and found[path].with_users_gs >= 49
    reasons = {reason.split(": ")[1] for swept in found.values() for reason in swept.held.values()}
    assert reasons == {"a #DB waits as well, and comes first", "in the shadow of MOV SS",
                       "in the shadow of STI (in Bochs; other CPUs may)"}


@pytest.mark.heavy
@pytest.mark.parametrize("gs", ["fake", "kernel"])
def test_an_nmi_entry_that_asks_cs(gs):
    """It is caught exactly where ring 0 runs with the program's GS, and nowhere else."""
    for swept in sweep("qemu", gs, ("syscall", "interrupt"), broken("nmi-asks-cs")):
        windows = [number for number, place in enumerate(swept.places) if place.users_gs]
        assert sorted(swept.faults) == windows and len(windows) == {"syscall": 2, "interrupt": 7}[swept.path]


@pytest.mark.heavy
def test_an_nmi_entry_that_does_not_restore_gs():
    """The difference is told by name."""
    swept, = sweep("qemu", "fake", ("syscall",), broken("nmi-keeps-gs"))
    assert sorted(swept.faults) == [1, 79]
    assert all(": gs_base was 0x" in fault for fault in swept.faults.values())


@pytest.mark.parametrize("emulator, path", [
    ("qemu", "nmi-in-syscall-entry"),
    pytest.param("qemu", "nmi-in-ring-3", marks=pytest.mark.heavy),
    pytest.param("bochs", "nmi-in-syscall-entry", marks=pytest.mark.heavy),
    pytest.param("bochs", "nmi-in-ring-3", marks=pytest.mark.heavy)])
def test_an_nmi_within_an_nmi(emulator, path):
    """At each instruction of the handler: the CPU holds it back until the IRETQ, and the frame stays whole. Seen to fail:
    with nmi-keeps-gs."""
    swept, = nested.sweep(emulator, "fake", (path,))
    assert not swept.faults
    assert swept.boundaries >= 75 and swept.places[-1].text.startswith("iret")


@pytest.mark.parametrize("emulator", ["qemu", "bochs"])
def test_a_handler_that_traps_is_diagnosed(emulator):
    """The IRETQ of a trap in the handler lets the next NMI in, onto the same stack. Seen to fail: with a kernel that does
    not look whether that stack is in use, by the time-out: the first handler's IRETQ leads back into the handler, for
    ever."""
    done = boot("--emulator", emulator, "--layer", NESTED, "--module", "hello", "--timeout", "40")
    assert done.returncode == 1
    assert "\npanic: CPU 0: NMI (non-maskable interrupt) in ring 0\n" in done.stdout
    assert "nested: an NMI within an NMI\n" in done.stdout and "and back" not in done.stdout
