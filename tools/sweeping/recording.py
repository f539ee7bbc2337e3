# Records a path without anything that strikes it: every instruction, and whether an interrupt could come before it.
# That is what an interrupt sweep is compared with. In QEMU, by its gdbstub.
# Used by tools/sweeping/interrupts.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from dataclasses import dataclass

from machine.gdbstub import STEP_UNDISTURBED, GdbError
from machine.listing import Listing
from machine.walk import Kernel

from .machines import Session, Setup, SweepError, stopped

QUIET_ROUND = "sweep_quiet_round"       # sweep.c: the beginning of a round in which nothing strikes
END = 0x82cd                            # int 0x82 of a program, the end of a round
HLT = "hlt"
MOST = 20000                            # instructions of a path
RFLAGS_IF = 1 << 9
# After these the CPU takes no interrupt for one instruction more.
SHADOWS = ("sti", "mov ss", "pop ss")


@dataclass(frozen=True)
class Boundary:
    """The moment before an instruction."""

    rip: int
    ring: int
    place: str          # symbol and distance; of a program, 'a program'
    text: str           # the instruction; of a program, empty
    open: bool          # would an interrupt be taken here?


def record(setup: Setup, paths: int) -> list[list[Boundary]]:
    """The quiet rounds of so many paths, one after the other; fewer if the machine ends before. Between them the kernel
    is swept as usual, and a broken one may not come through that."""
    with stopped("qemu", setup) as session:
        listing = Listing(setup.elf)
        found = []
        session.debugger.request(STEP_UNDISTURBED)
        for _ in range(paths):
            try:
                session.debugger.run_to(session.kernel.addresses[QUIET_ROUND])
                found.append(follow(session, listing))
            except GdbError:
                break
        return found


def follow(session: Session, listing: Listing) -> list[Boundary]:
    """Step by step to the end of the round. What comes before the program goes on is the way out of its `int 0x81`."""
    path: list[Boundary] = []
    shadow = False
    before = session.debugger.registers()
    while len(path) < MOST:
        one = boundary(session.kernel, listing, before, shadow)
        path.append(one)
        if one.ring == 3 and session.debugger.read(one.rip, 2) == END:
            return path
        if one.text == HLT:
            return [*path, behind(one, session, listing)]
        session.debugger.step()
        shadow = one.text.startswith(SHADOWS) and not (one.text == "sti" and before["rflags"] & RFLAGS_IF)
        before = session.debugger.registers()
    raise SweepError(f"the path does not end within {MOST} instructions")


def boundary(kernel: Kernel, listing: Listing, registers: dict[str, int], shadow: bool) -> Boundary:
    rip, ring = registers["pc"], registers["cs"] & 3
    inside = ring == 0 and kernel.has_code_at(rip)
    return Boundary(rip, ring, listing.symbol(rip) if inside else "a program",
                    listing.instructions.get(rip, "") if inside else "",
                    bool(registers["rflags"] & RFLAGS_IF) and not shadow)


def behind(halt: Boundary, session: Session, listing: Listing) -> Boundary:
    """A CPU that halts has executed HLT, and is interrupted behind it."""
    rip = halt.rip + 1
    return Boundary(rip, 0, listing.symbol(rip), listing.instructions.get(rip, ""), True)
