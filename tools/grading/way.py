# Follows a way into the kernel or out of it, instruction by instruction: the assembly, which is the student's, is
# stepped; a C function that it calls is run to its return in one go. Used by the checks.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterator

from .target import MOST_STEPS, Ended, Target
from .verdicts import Cause

NMI_BUDGET = 1000000        # instructions until what an NMI has struck goes on
CALLER_SAVED = ("rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11")


@dataclass
class Moment:
    """The CPU between two instructions."""

    registers: dict[str, int]
    address: int                # of the next instruction
    text: str                   # and how it reads
    in_c: bool                  # it is the first one of a C function: assembly has come to C
    returned: bool = False      # the C function has just returned

    def __getitem__(self, name: str) -> int:
        return self.registers[name]

    @property
    def ring(self) -> int:
        return self.registers["cs"] & 3

    @property
    def mnemonic(self) -> str:
        return self.text.split()[0] if self.text else ""


def moment(target: Target, returned: bool = False) -> Moment:
    """Where the CPU is now."""
    registers = target.registers()
    address = registers["pc"]
    return Moment(registers, address, target.code.assembly(address), target.code.is_c(address), returned)


def follow(target: Target, until: Callable[[Moment], bool], begin_c: Callable[[Moment], bool | None] = lambda _: None,
           most: int = MOST_STEPS) -> Iterator[Moment]:
    """Yields every moment from the present one on, until one of which `until` says so; that is the last one. A
    function in C is entered as far as its first instruction, which is a moment too; `begin_c` may then change the
    machine, and if it says True the function is not executed but returns at once."""
    now = moment(target)
    yield now
    for _ in range(most):
        if until(now):
            return
        if now.in_c:
            now = skip_c(target) if begin_c(now) else leave_c(target, target.registers())
        else:
            target.gdb_step()
            now = moment(target)
        yield now
    raise Ended(Cause.OUT_OF_BUDGET,
                f"the way was not at its end after {most} steps, at {target.code.describe(now.address)}")


def skip_c(target: Target) -> Moment:
    """Lets a C function that has just begun return at once, and leaves in the registers that C may change what a C
    function would: anything."""
    registers = target.registers()
    junk = {name: 0xc0de00000000c0de + number for number, name in enumerate(CALLER_SAVED)}
    target.set(rip=target.read(registers["rsp"]), rsp=registers["rsp"] + 8, **junk)
    return moment(target, returned=True)


def through_nmi(target: Target, in_c: Callable[[Moment], None]) -> tuple[Moment, Moment]:
    """An NMI strikes here. Its handler in C is looked at and passed over; what is around it is run, and not stepped,
    for it strikes often. Gives the moments before it and behind it."""
    before = moment(target)
    back = (before.address, before["rsp"], before["cs"])
    handlers = [target.code.symbol(name) for name in ("paranoid", "trap")]
    target.nmi()
    now = moment(target)
    with target.limited(NMI_BUDGET):
        while (now.address, now["rsp"], now["cs"]) != back:
            if now.address in handlers:
                in_c(now)
                now = skip_c(target)
            else:
                target.run_to(*handlers, before.address)
                now = moment(target)
    return before, now


def leave_c(target: Target, entered: dict[str, int]) -> Moment:
    """Runs a C function until it returns to who has called it. Others may come by there meanwhile: the stack tells."""
    back, rsp = target.read(entered["rsp"]), entered["rsp"] + 8
    while True:
        target.run_to(back, moved=True)
        if target["rsp"] == rsp:
            return moment(target, returned=True)
