# Lab 02: the PCR where GS base says, what is in it, and whether the kernel finds its state by GS alone.
# Called by work.py.
# One mistake is to cost one check: where a state is wrong it is told, and then mended, so that what comes after it is
# judged by itself.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from capstone import CS_AC_READ, CS_AC_WRITE
from capstone.x86 import X86_OP_MEM, X86_REG_GS
from elftools.elf.elffile import ELFFile
from machine.address_map import DIRECT_BASE, KERNEL_BASE, PAGE_SIZE

from . import ring0, scene
from .target import Ended, Table, Target
from .verdicts import Cause
from .work import Bench, Program

RSP0, TSS_SIZE, PF = 4, 104, 14
GETPID, EXIT_GROUP = 39, 231
TASK_WORDS = 8              # of a task's first words one is its CR3
COUNT_STEPS = 2000
READ_BYTE = b"\x8a\x02"     # mov al, [rdx]
FRAME_BYTES = 8 * len(scene.FRAME)


def run(bench: Bench) -> None:
    program = bench.program("probe")
    target = bench.boot(program, program)
    with target:
        try:
            Region(bench, target, program).judge()
        finally:
            bench.count(target)


class Region:
    """One CPU's PCR, from cpu_init() on."""

    def __init__(self, bench: Bench, target: Target, program: Program):
        self.bench, self.target, self.program = bench, target, program

    def judge(self) -> None:
        target, code = self.target, self.target.code
        target.run_to(code.symbol("idt_init"))      # behind cpu_init()
        self.gs_bases()
        self.structure()
        if "fence" in self.bench.challenges:
            target.run_to(code.symbol("program_init"))      # behind idt_load(), and CR3 is still the first one
            self.fenced()
        for number in (1, 2):
            target.run_to(code.symbol("trap_return"))
            self.before_a_program(number)
            target.run_to(self.program["_start"])
            if number == 1:
                target.set(rip=self.program["int80"], rax=EXIT_GROUP, rdi=0)
        for name in ("kernel-stack", "current"):
            self.bench.passed(name)
        counter = self.find_counter()
        self.one_instruction(counter)
        self.moved(counter)

    def gs_bases(self) -> None:
        registers, tables = self.target.registers(), self.target.tables()
        self.gdt, self.tss = tables["GDT"], Table(tables["TR"].base, TSS_SIZE - 1)
        gs, other = registers["gs_base"], registers["kernel_gs_base"]
        if self.is_data(gs):
            self.pcr = gs
        else:
            self.bench.failed("gs-base", f"behind cpu_init() GS base is {gs:#x}, where the kernel has no data")
            self.pcr = self.guess(other)
            self.target.set(gs_base=self.pcr)
        self.bench.passed("gs-base")
        if other >> 47:
            whose = "the PCR" if other == self.pcr else "an address of the kernel's"
            self.bench.failed("kernel-gs-base", f"IA32_KERNEL_GS_BASE is {other:#x}, {whose}")
            self.target.set(kernel_gs_base=0)
        self.bench.passed("kernel-gs-base")

    def is_data(self, address: int) -> bool:
        return address >> 47 == 0x1ffff and bool(ring0.entry_of(self.target, address)[0] & ring0.WRITE)

    def guess(self, other: int) -> int:
        """Where the PCR may be, when GS base does not say so."""
        for place in (other, self.gdt.base & -PAGE_SIZE, self.tss.base & -PAGE_SIZE):
            if self.is_data(place):
                return place
        raise Ended(Cause.WRONG, "neither a GS base nor GDTR nor TR leads to a PCR")

    def structure(self) -> None:
        pcr, bench = self.pcr, self.bench
        first = self.target.read(pcr)
        if first != pcr:
            bench.failed("self", f"gs:[0] is {first:#x}; the PCR is at {pcr:#x}")
        bench.passed("self")
        for check, name, part in (("gdt-inside", "GDTR", self.gdt), ("tss-inside", "TR", self.tss)):
            if not self.holds(part):
                bench.failed(check, f"{name}'s base is {part.base:#x}, which is not in the page of the PCR at {pcr:#x}")
            bench.passed(check)
        if pcr % PAGE_SIZE:
            bench.failed("own-page", f"the PCR is at {pcr:#x}, which is not the beginning of a page")
        elif (self.tss.base + RSP0) % 8 and self.holds(self.tss):
            bench.failed("own-page",
                f"the TSS is at {self.tss.base:#x}, and so its rsp0 at {self.tss.base + RSP0:#x}, which "
                "is no multiple of 8")
        bench.passed("own-page")
        if "allocated" in bench.challenges:
            self.allocated()

    def holds(self, part: Table) -> bool:
        return self.pcr <= part.base <= part.base + part.limit < self.pcr + PAGE_SIZE

    def before_a_program(self, number: int) -> None:
        """The kernel has chosen a task, and is about to leave by its first frame. task.c has built it right below the
        top that it gave to set_kernel_stack()."""
        top, found = self.target["rdi"] + FRAME_BYTES, self.target.read(self.tss.base + RSP0)
        if found != top:
            self.bench.failed("kernel-stack", f"before program {number} the TSS that TR names has rsp0 {found:#x}; "
                                              f"set_kernel_stack() was called with {top:#x}")
            self.target.write(self.tss.base + RSP0, top)
        if not self.names_current_task():
            self.bench.failed("current",
                f"before program {number} no word of the PCR at {self.pcr:#x} points to a task with "
                "the page tables that are in use")

    def own_words(self) -> list[int]:
        """The addresses of the words of the PCR, without those of GDT and TSS, and without self."""
        parts = [range(part.base - 7, part.base + part.limit + 1) for part in (self.gdt, self.tss)]
        return [at for at in range(self.pcr + 8, self.pcr + PAGE_SIZE, 8) if not any(at in part for part in parts)]

    def copy(self, base: int) -> dict[int, int]:
        """The words of a PCR by address."""
        words: dict[int, int] = {}
        for at in range(0, PAGE_SIZE, 512):
            data = self.target.bytes(base + at, 512)
            words.update({base + at + n: int.from_bytes(data[n:n + 8], "little") for n in range(0, 512, 8)})
        return words

    def names_current_task(self) -> bool:
        cr3 = self.target["cr3"]
        words = self.copy(self.pcr)
        for pointer in {words[at] for at in self.own_words()}:
            if pointer % 8 == 0 and self.is_data(pointer) and self.is_data(pointer + 8 * TASK_WORDS):
                data = self.target.bytes(pointer, 8 * TASK_WORDS)
                if cr3.to_bytes(8, "little") in (data[n:n + 8] for n in range(0, len(data), 8)):
                    return True
        return False

    def system_call(self) -> int:
        """The second program asks for its number, by int 0x80."""
        self.target.set(rip=self.program["int80"], rax=GETPID)
        self.target.run_to(self.program["int80_done"])
        return self.target["rax"]

    def find_counter(self) -> int:
        """The word of the PCR that counts system calls; 0 if there is none."""
        before = self.copy(self.pcr)
        self.system_call()
        after = self.copy(self.pcr)
        counted = [at for at in self.own_words() if after[at] == before[at] + 1]
        if not counted:
            self.bench.failed("through-gs",
                f"a system call has changed no word of the PCR at {self.pcr:#x}: it is not counted "
                "there")
        return counted[0] if counted else 0

    def one_instruction(self, counter: int) -> None:
        """Steps through a system call until it is counted, and looks at the instruction that did it."""
        if not counter:
            return
        target, before = self.target, self.target.read(counter)
        target.set(rip=self.program["int80"], rax=GETPID)
        for _ in range(COUNT_STEPS):
            place = target["pc"]
            target.step()
            if target.read(counter) != before:
                break
        instruction = self.bench.code.instruction(place)
        whole = instruction and any(
            operand.type == X86_OP_MEM and operand.mem.segment == X86_REG_GS and operand.access & CS_AC_WRITE
            and operand.access & CS_AC_READ for operand in instruction.operands)
        if not whole:
            self.bench.failed("one-instruction",
                "the instruction that has changed the count does not read, add and write "
                "through GS at once", place)
        self.bench.passed("one-instruction")
        target.run_to(self.program["int80_done"])

    def moved(self, counter: int) -> None:
        """GS base is moved to a copy of the PCR, and nothing is left in the old one but what the CPU itself reads. The
        copy lies in the program's stack: its pages are the kernel's to use as well, before stage 03."""
        if not counter:
            return
        target, wanted = self.target, self.system_call()
        new = (target["rsp"] & -PAGE_SIZE) - 2 * PAGE_SIZE
        for at, word in self.copy(self.pcr).items():
            target.write(new + at - self.pcr, new if word == self.pcr else word)
        for at in self.own_words():
            target.write(at, 0)
        count, old = target.read(counter), target.read(new + counter - self.pcr)
        target.set(gs_base=new)
        try:
            found = self.system_call()
        except Ended as ended:
            if ended.cause is Cause.OUT_OF_BUDGET:
                raise
            self.bench.failed("through-gs",
                "with GS base at a copy of the PCR a system call did not come back: the kernel "
                "still looks at the old place")
            return
        if target.read(counter) != count or target.read(new + counter - self.pcr) != old + 1:
            self.bench.failed("through-gs",
                "with GS base at a copy of the PCR a system call was counted at the old place")
        elif found != wanted:
            self.bench.failed("through-gs",
                f"with GS base at a copy of the PCR a program's number is {found}, and was {wanted}")
        self.bench.passed("through-gs")

    # The challenges.

    def allocated(self) -> None:
        at = ring0.physical(self.target, self.pcr)
        file = ELFFile(self.target.code.elf.open("rb"))
        end = max(part["p_paddr"] + part["p_memsz"] for part in file.iter_segments() if part["p_type"] == "PT_LOAD")
        if self.pcr >= KERNEL_BASE or at is None or at < end:
            self.bench.failed("pcr-is-allocated", f"the PCR is at {self.pcr:#x}, and the kernel's image ends at "
                                                  f"{end + DIRECT_BASE:#x} of the direct window")
        self.bench.passed("pcr-is-allocated")

    def fenced(self) -> None:
        """By the page tables, and by a load from there."""
        before = self.target.registers()
        for name, address in (("below", self.pcr - 8), ("above", self.pcr + PAGE_SIZE)):
            if ring0.entry_of(self.target, address)[1]:
                self.bench.failed("pcr-is-fenced", f"the page {name} the PCR at {self.pcr:#x} is mapped")
            elif ring0.execute(self.target, READ_BYTE, rdx=address)["pc"] != self.target.gate(PF)["address"]:
                self.bench.failed("pcr-is-fenced",
                    f"the page {name} the PCR at {self.pcr:#x} can still be read: the CPU "
                    "remembers an entry that was there")
            self.target.set(**{register: before[register] for register in ring0.KEPT})
        self.bench.passed("pcr-is-fenced")
