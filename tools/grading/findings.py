# What is looked at on every way into the kernel: whose GS it is, whose stack, what the frame holds, and whether an
# interrupt could come in. Told once, and then mended. Used by the checks of the labs.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from capstone import CS_AC_WRITE
from capstone.x86 import X86_OP_MEM, X86_REG_GS

from . import scene
from .target import Target
from .way import Moment, moment
from .work import Bench

STACK_USE = 0x2000      # more than any way in needs, and less than a stack
PUSHES = ("push", "pushfq", "call")


def gs_name(base: int, pcr: int) -> str:
    """A GS base for a person, without a number that the program has drawn."""
    return "the PCR" if base == pcr else "0" if base == 0 else "the program's" if base < scene.KERNEL_HALF else (
        f"{base:#x}, which is not the PCR")


def may_come_in(now: Moment) -> bool:
    return bool(now["rflags"] & scene.IF)


class Entry:
    """One way in from ring 3, and back. `silent`: nothing is told, all is mended. `checks`: of GS and of the stack."""

    def __init__(self, bench: Bench, target: Target, pcr: int, user: dict[str, int], silent: bool = False,
                 checks: tuple[str, str] = ("", "")):
        self.checks = checks
        self.bench, self.target, self.pcr, self.user, self.silent = bench, target, pcr, user, silent
        self.top = target.tss(4)
        self.lent_ac = False

    def failed(self, check: str, seen: str, where: int | str = "") -> None:
        if check and not self.silent:
            self.bench.failed(check, seen, where)

    def lower_rsp0(self) -> None:
        """Another top for the kernel stack than the one that it always has: what is read from the TSS is right, what
        is remembered from elsewhere is not."""
        slot = scene.STACK_SLOT
        self.top = (self.top + slot - 1) // slot * slot - 16 * self.bench.random.randrange(1, 64)
        self.target.write(self.target.tables()["TR"].base + 4, self.top)

    def is_kernel_stack(self, rsp: int) -> bool:
        return self.top - STACK_USE < rsp <= self.top

    def watch(self, now: Moment, window: str = "window", scratch: str = "entry-scratch") -> None:
        """Before each instruction of assembly in ring 0."""
        if now.ring == scene.RING_3 or now.in_c:
            return
        if self.lent_ac and now["rsp"] >= scene.KERNEL_HALF:
            self.target.set(rflags=now["rflags"] & ~scene.AC)
            self.lent_ac = False
        self.mend_before(moment(self.target))
        now = moment(self.target)
        foreign = now["gs_base"] != self.pcr or now["rsp"] < scene.KERNEL_HALF
        if foreign and may_come_in(now):
            whose = "GS base is " + gs_name(now["gs_base"], self.pcr) if now["gs_base"] != self.pcr else (
                "RSP is the program's")
            self.failed(window, f"IF=1 while {whose}", now.address)
            self.target.set(rflags=now["rflags"] & ~scene.IF)
        if scratch == "entry-scratch" and not self.is_kernel_stack(now["rsp"]):
            self.look_for_scratch(now, scratch)

    def mend_before(self, now: Moment) -> None:
        """What the next instruction would fault on, or harm, for the user's GS or stack."""
        instruction = self.target.code.instruction(now.address)
        if not instruction:
            return
        through_gs = any(one.type == X86_OP_MEM and one.mem.segment == X86_REG_GS for one in instruction.operands)
        if through_gs and now["gs_base"] != self.pcr:
            self.failed(self.checks[0], f"memory is reached through GS while its base is "
                                       f"{gs_name(now['gs_base'], self.pcr)}", now.address)
            self.target.set(gs_base=self.pcr, kernel_gs_base=self.user["gs_base"])
        if instruction.mnemonic in PUSHES and now["rsp"] < scene.KERNEL_HALF:
            self.failed(self.checks[1], "ring 0 pushes on the program's stack", now.address)
            self.target.set(rflags=now["rflags"] | scene.AC)    # or SMAP would end it here
            self.lent_ac = True

    def look_for_scratch(self, now: Moment, check: str) -> None:
        instruction = self.target.code.instruction(now.address)
        if not instruction or instruction.mnemonic in PUSHES:
            return
        for operand in instruction.operands:
            if operand.type == X86_OP_MEM and operand.access & CS_AC_WRITE and operand.mem.segment != X86_REG_GS:
                self.failed(check, "memory that all CPUs share is written before there is a stack", now.address)

    def at_c(self, now: Moment) -> None:
        """Assembly has called C."""
        gs, stack = self.checks
        if now["gs_base"] != self.pcr:
            self.failed(gs, f"C was called with GS base {gs_name(now['gs_base'], self.pcr)}", now.address)
            self.target.set(gs_base=self.pcr, kernel_gs_base=self.user["gs_base"])
        if not self.is_kernel_stack(now["rsp"]):
            self.failed(stack, f"C was called with RSP = {self.stack_name(now['rsp'])}; tss.rsp0 names another stack",
                        now.address)
            self.move_frame(now)
        elif now["rsp"] % 16 != 8:
            self.failed(stack, f"C was called with RSP = {now['rsp']:#x}: before the CALL it must be a multiple of 16",
                        now.address)

    def stack_name(self, rsp: int) -> str:
        near = abs(rsp - self.user["rsp"]) < 0x1000
        return "the program's stack" if near else "an address of ring 3's" if rsp < scene.KERNEL_HALF else f"{rsp:#x}"

    def move_frame(self, now: Moment) -> None:
        """To where it should have been, so that the rest can be judged."""
        size = 8 * len(scene.FRAME)
        if now["rdi"] != now["rsp"] + 8:
            return
        try:
            data = self.target.read(now["rsp"], size + 8)
        except LookupError:
            return
        rsp = self.top - size - 8
        self.target.write(rsp, data, size + 8)
        self.target.set(rsp=rsp, rdi=rsp + 8)

    def check_frame(self, wanted: dict[str, int], check: str) -> None:
        """The frame that C is given."""
        address = self.target["rdi"]
        try:
            frame = scene.read_frame(self.target, address)
        except LookupError:
            self.failed(check, f"C was given {address:#x} as the address of the trap frame, and there is no memory")
            return
        wrong = scene.differences(frame, wanted)
        if wrong:
            self.failed(check, f"in the trap frame, {wrong}")
            scene.write_frame(self.target, address, wanted)

    def outside(self, now: Moment, check: str = "") -> None:
        """In ring 3 again: whose GS is it?"""
        if now["gs_base"] != self.user["gs_base"]:
            self.failed(check, f"the program runs with GS base {gs_name(now['gs_base'], self.pcr)}, "
                               "which is not its own")
        elif now["kernel_gs_base"] != self.pcr:
            self.failed(check, "while the program runs, IA32_KERNEL_GS_BASE is "
                               f"{gs_name(now['kernel_gs_base'], self.pcr)}")
        self.target.set(gs_base=self.user["gs_base"], kernel_gs_base=self.pcr)
