# Says where each CPU stands when a machine does not come to an end, what it does there, and the likely cause: a lock
# that nobody releases, a wait with interrupts off, CPUs that all sleep.
# Used by tools/boot after a time-out.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Union

from .address_map import DIRECT_BASE
from .crash import Kernel
from .instruction import Instruction
from .records import Memory, Registers

IF = 1 << 9
LONGEST_LOOP = 96       # bytes of code around RIP in which a loop is looked for
MOST_CALLS = 8
BRANCH = re.compile(r"j\w+")


@dataclass
class Standing:
    """One CPU: its registers at several moments, the last one last."""

    number: int
    samples: list[Registers]
    memory: Memory
    loop: list[Instruction] = field(default_factory=list)

    @property
    def now(self) -> Registers:
        return self.samples[-1]

    @property
    def interrupts(self) -> bool:
        return bool(self.now["rflags"] & IF)

    @property
    def halted(self) -> bool:
        return all(one.get("halted") for one in self.samples)

    @property
    def in_program(self) -> bool:
        return bool(self.now.get("cs", 0) & 3)

    @property
    def spins(self) -> bool:
        """Was it in one short loop at every look?"""
        places = {one.address for one in self.loop}
        return bool(places) and all(one["rip"] in places for one in self.samples)

    @property
    def pauses(self) -> bool:
        return any(one.mnemonic == "pause" for one in self.loop)

    def watched(self) -> Union[Instruction, None]:
        """The instruction of the loop that reads memory."""
        return next((one for one in self.loop if one.operand and one.mnemonic in ("mov", "cmp", "test")), None)

    def lock(self, kernel: Kernel) -> Union[int, None]:
        """The ticket lock that it waits for: `called` is read in a loop with a PAUSE, in code of lock.h."""
        read = self.watched()
        if not (self.spins and self.pauses and read):
            return None
        source = kernel.names.source_line(read.address)
        address = read.linear(self.now)
        return address - 4 if address is not None and "lock.h:" in source else None


def find_loop(kernel: Kernel, rip: int) -> list[Instruction]:
    """The shortest loop around RIP: from the target of a jump back to the jump."""
    if not kernel.is_code(rip):
        return []
    start = kernel.function(rip)[1]
    code = [one for one in kernel.code.between(start, rip + LONGEST_LOOP)]
    found: list[Instruction] = []
    for jump in code:
        target = re.match(r"(?:0x)?([0-9a-f]+)\b", jump.operands[0]) if BRANCH.fullmatch(jump.mnemonic) else None
        first = int(target[1], 16) if target else jump.address + 1
        if first <= rip <= jump.address and jump.address - first <= LONGEST_LOOP:
            loop = [one for one in code if first <= one.address <= jump.address]
            found = loop if not found or len(loop) < len(found) else found
    return found


class Hang:
    """All CPUs of a machine that stands still."""

    def __init__(self, kernel: Kernel, cpus: list[Standing]):
        self.kernel = kernel
        self.cpus = cpus
        for cpu in cpus:
            cpu.loop = find_loop(kernel, cpu.now["rip"])

    def explain(self) -> list[str]:
        lines = []
        for cpu in self.cpus:
            lines.append(f"CPU {cpu.number}: {self.doing(cpu)}, IF={int(cpu.interrupts)}, at {self.place(cpu.now)}")
            lines += [f"    called from {name}" for name in self.calls(cpu)]
        return [*lines, f"  likely cause: {self.cause()}"]

    def place(self, registers: Registers) -> str:
        rip = registers["rip"]
        name = self.kernel.place(rip)
        return f"{rip:#x} {name}".rstrip() if name or not registers.get("cs", 0) & 3 else f"{rip:#x} in a program"

    def doing(self, cpu: Standing) -> str:
        if cpu.halted:
            return "halted"
        if cpu.in_program:
            return "runs a program"
        lock = cpu.lock(self.kernel)
        if lock is not None:
            return f"waits for the lock {self.name_of(lock)}{self.tickets(cpu, lock)}"
        if cpu.spins:
            read = cpu.watched()
            watched = read.linear(cpu.now) if read else None
            return "goes round a loop" + (f" that reads {self.name_of(watched)}" if watched is not None else "")
        return "runs"

    def tickets(self, cpu: Standing, lock: int) -> str:
        try:
            return f" (next {cpu.memory(lock, 4)}, called {cpu.memory(lock + 4, 4)})"
        except LookupError:
            return ""

    def name_of(self, address: int) -> str:
        """The variable at an address, or the number."""
        known = [(at, name) for name, at in self.kernel.symbols.items() if at <= address]
        at, name = max(known, default=(0, ""))
        if address < DIRECT_BASE or address - at > 0x1000 or not name:
            return f"at {address:#x}"
        return f"{name}{f'+{address - at:#x}' if address > at else ''} ({address:#x})"

    def calls(self, cpu: Standing) -> list[str]:
        """Who called, by the frame pointers; the code below an interrupt is not followed."""
        found: list[str] = []
        rip, rbp = cpu.now["rip"], cpu.now["rbp"]
        if cpu.in_program or not self.kernel.is_code(rip):
            return found
        try:
            executed = self.kernel.code.between(self.kernel.function(rip)[1], rip)
            top = cpu.memory(cpu.now["rsp"], 8)
            if not any(one.text == "push rbp" for one in executed) and self.kernel.is_code(top):
                found.append(self.kernel.names.describe(top, top - 1))      # a function that makes no frame
            while len(found) < MOST_CALLS and rbp >= DIRECT_BASE and not rbp % 8:
                caller = cpu.memory(rbp + 8, 8)
                if not self.kernel.is_code(caller):
                    break
                found.append(self.kernel.names.describe(caller, caller - 1))
                rbp = cpu.memory(rbp, 8)
        except LookupError:
            pass
        return found

    # The cause

    def cause(self) -> str:
        rules = (self.locks, self.all_halted, self.waits_without_interrupts, self.program, self.loops)
        found = next(filter(None, (rule() for rule in rules)), "")
        return found or "not known: at least one CPU makes progress; is it only slow?"

    def locks(self) -> str:
        wanted: dict[int, list[Standing]] = {}
        for cpu in self.cpus:
            lock = cpu.lock(self.kernel)
            if lock is not None:
                wanted.setdefault(lock, []).append(cpu)
        if not wanted:
            return ""
        if len(wanted) > 1:
            return (f"a deadlock: {self.waiting(wanted)}, each probably held by a CPU that waits for another of them; "
                    "locks must always be taken in the same order")
        lock, waiting = next(iter(wanted.items()))
        others = [cpu for cpu in self.cpus if cpu not in waiting and not cpu.halted]
        name = self.name_of(lock)
        if others:
            return (f"the lock {name} is held, and nobody releases it: perhaps CPU {others[0].number} has it, which does "
                    "not come to an end")
        return (f"the lock {name} is held, and nobody else runs who could release it: "
                f"CPU {waiting[0].number} takes it a second time, or somebody has left without releasing it")

    def waiting(self, wanted: dict[int, list[Standing]]) -> str:
        return ", ".join(f"CPU {' and '.join(str(cpu.number) for cpu in cpus)} waits for {self.name_of(lock)}"
                         for lock, cpus in wanted.items())

    def all_halted(self) -> str:
        if not all(cpu.halted for cpu in self.cpus):
            return ""
        deaf = [cpu.number for cpu in self.cpus if not cpu.interrupts]
        which = "the CPU is" if len(self.cpus) == 1 else "all CPUs are"
        if len(deaf) == len(self.cpus):
            return (f"{which} halted with interrupts off (IF=0), and only an NMI could wake it; "
                    "is a `sti` missing before `hlt`?")
        return (f"{which} halted, with interrupts on, and none comes: a wake-up was lost, or nobody is left to "
                "send one (a timer that does not tick, a task that is in no queue, or one whose registers or stack "
                "somebody has overwritten)")

    def waits_without_interrupts(self) -> str:
        for cpu in self.cpus:
            if cpu.spins and not cpu.interrupts and not cpu.in_program:
                read = cpu.watched()
                watched = read.linear(cpu.now) if read else None
                what = f"for {self.name_of(watched)} to change" if watched is not None else "for ever"
                return (f"CPU {cpu.number} waits {what} with interrupts off (IF=0): if an interrupt was to change it, "
                        "that cannot come")
        return ""

    def program(self) -> str:
        running = [cpu for cpu in self.cpus if cpu.in_program]
        if not running:
            return ""
        if not running[0].interrupts:
            return (f"CPU {running[0].number} runs a program with interrupts off (IF=0): "
                    "no timer can take the CPU from it")
        return "a program does not end; the kernel waits for it"

    def loops(self) -> str:
        spinning = [cpu for cpu in self.cpus if cpu.spins]
        if not spinning:
            return ""
        cpu = spinning[0]
        read = cpu.watched()
        watched = read.linear(cpu.now) if read else None
        what = f", until {self.name_of(watched)} changes" if watched is not None else " that nothing ends"
        return f"CPU {cpu.number} goes round a loop{what}"
