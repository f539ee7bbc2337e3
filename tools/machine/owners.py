# Whose a stack, a base of GS or a task is, as the kernel's own structures say while the machine stands still.
# Used by tools/machine/commands.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Union

from .address_map import DIRECT_BASE, PAGE_SIZE, SLOT_SIZE, STACK_BASE, USER_TOP, is_stack, slot_of
from .expression import View
from .walk import Kernel

# Which vector asks for which of the TSS's stacks, as in kernel/gdt.h.
IST_VECTORS = {1: "#DF", 2: "NMI", 3: "#DB", 4: "#MC"}
MOST = 256              # entries of a list that is followed; a broken one may have no end
LONGEST_NAME = 40


@dataclass(frozen=True)
class Cpu:
    """What is known of a CPU of the kernel's: its number, and its PCR; before stage 02 there is none."""

    number: int
    pcr: int


class Owners:
    """The owners of one moment. It is cheap to make and reads what it is asked for."""

    def __init__(self, kernel: Kernel, view: View):
        self.kernel = kernel
        self.view = view

    def has(self, structure: str, path: str) -> bool:
        try:
            return path in self.kernel.structures.members(structure)
        except LookupError:
            return False

    def member(self, structure: str, address: int, path: str) -> int:
        """A member of a structure in memory; 0 if the stage has no such member."""
        if not self.has(structure, path):
            return 0
        offset, size = self.kernel.structures.member(structure, path)
        return self.view.read(address + offset, size)

    def variable(self, name: str) -> int:
        """A pointer or number of 64 bits in the kernel; 0 if the stage has none of that name."""
        address = self.kernel.addresses.get(name)
        return self.view.read(address, 8) if address else 0

    @cached_property
    def cpus(self) -> list[Cpu]:
        """The kernel's CPUs: of stage 05 the list, and only the first until that is made; one without a PCR before
        stage 02. None where the memory of the kernel is not to be seen yet."""
        try:
            if "boot_pcr" not in self.kernel.addresses:
                return [Cpu(0, 0)] if "cpu_tss" in self.kernel.addresses else []
            found: list[int] = []
            pcr = self.variable("smp_first") or self.kernel.addresses["boot_pcr"]
            while pcr and pcr not in found and len(found) < MOST:
                found.append(pcr)
                pcr = self.member("pcr", pcr, "next")
            return [Cpu(number, pcr) for number, pcr in enumerate(found)]
        except LookupError:
            return []

    def tss(self, cpu: Cpu) -> int:
        """Where its TSS lies."""
        if not cpu.pcr:
            return self.kernel.addresses["cpu_tss"]
        member = self.kernel.structures.member
        return cpu.pcr + member("pcr", "tss.rsp0")[0] - member("tss", "rsp0")[0]

    def pcr_name(self, address: int) -> str:
        """'PCR of CPU 1', or nothing if there is none at the address."""
        return next((f"PCR of CPU {cpu.number}" for cpu in self.cpus if cpu.pcr == address and address), "")

    def base_owner(self, base: int) -> str:
        """Whose a base of GS or FS is."""
        name = self.pcr_name(base)
        if name:
            ready = self.member("pcr", base, "self") == base
            return name + ("" if ready else ", which is not set up yet")
        if base == 0:
            return "nobody's; a program that has set none has 0"
        if base < USER_TOP:
            return "the program's"
        return "an address of the kernel, but of no PCR" if base >= DIRECT_BASE else "nobody's: it is not canonical"

    # Tasks

    @cached_property
    def tasks(self) -> list[int]:
        """The tasks that the kernel can be seen to have: those that run, wait for their turn, sleep or idle."""
        if "current_task" in self.kernel.addresses:
            return [task for task in [self.variable("current_task")] if task]
        found: list[int] = []
        for cpu in self.cpus:
            for path in ("current", "dead", "idle", "queue.first", "sleepers"):
                task = self.member("pcr", cpu.pcr, path)
                while task and task not in found and len(found) < MOST:
                    found.append(task)
                    task = self.member("task", task, "next") if path in ("queue.first", "sleepers") else 0
        return found

    def current(self, cpu: Cpu) -> int:
        """The task that a CPU runs; 0 if none."""
        return self.member("pcr", cpu.pcr, "current") if cpu.pcr else self.variable("current_task")

    def task_name(self, task: int) -> str:
        """'task 2 (hello again)', and of a task without a program what it is."""
        for cpu in self.cpus:
            if task and task == self.member("pcr", cpu.pcr, "idle"):
                return f"the idle task of CPU {cpu.number}"
        number, text = self.member("task", task, "id"), self.task_text(task)
        return f"task {number} ({text})" if text else f"task {number}, a thread of the kernel"

    def task_text(self, task: int) -> str:
        """The program's name and words, as the boot loader gave them."""
        if not self.has("task", "arguments.text[0]"):
            return ""
        start = task + self.kernel.structures.member("task", "arguments.text[0]")[0]
        data = b"".join(self.view.read(start + at, 4).to_bytes(4, "little") for at in range(0, LONGEST_NAME, 4))
        return re.sub(r"[^ -~]", "?", data.split(b"\0")[0].decode("latin-1"))

    # Stacks

    @cached_property
    def stacks(self) -> dict[int, str]:
        """The names of the kernel's stacks, by slot."""
        found: dict[int, str] = {}
        for cpu in self.cpus:
            tss, task = self.tss(cpu), self.current(cpu)
            rsp0 = self.member("tss", tss, "rsp0")
            if is_stack(rsp0):
                owner = f"kernel stack of {self.task_name(task)}" if task else f"first stack of CPU {cpu.number}"
                found[slot_of(rsp0)] = owner
            for number, vector in IST_VECTORS.items():
                top = self.member("tss", tss, f"ist[{number - 1}]")
                if is_stack(top):
                    found[slot_of(top)] = f"IST stack {number} of CPU {cpu.number}, for {vector}"
        for task in self.tasks if self.has("task", "kernel_stack_top") else ():
            top = self.member("task", task, "kernel_stack_top") or self.member("task", task, "rsp")
            if is_stack(top):
                found.setdefault(slot_of(top), f"kernel stack of {self.task_name(task)}")
        return found

    def stack_name(self, rsp: int, cpu: Union[Cpu, None] = None) -> str:
        """Which stack an RSP lies in. With a CPU, whose RSP it is: a stack that nobody else has is its idle task's,
        while that runs."""
        bottom, top = (self.kernel.addresses.get(name, 0) for name in ("boot_stack_guard", "boot_stack_top"))
        if bottom <= rsp < bottom + PAGE_SIZE:
            return "the guard page below the boot stack: it has overflowed"
        if bottom < rsp <= top:
            return "boot stack"
        if is_stack(rsp):
            return self.kernel_stack_name(rsp, cpu)
        if rsp < USER_TOP:
            return self.low_name()
        return "no stack: " + ("the kernel's memory" if rsp >= DIRECT_BASE else "not canonical")

    def kernel_stack_name(self, rsp: int, cpu: Union[Cpu, None]) -> str:
        name = self.stacks.get(slot_of(rsp))
        task = self.current(cpu) if cpu else 0
        if not name and task and task == self.member("pcr", cpu.pcr, "idle"):
            name = f"stack of {self.task_name(task)}"
        name = name or "a kernel stack of nobody who runs or waits"
        inside = (rsp - STACK_BASE) % SLOT_SIZE
        return f"the guard page below the {name}: it has overflowed" if 0 < inside < PAGE_SIZE else name

    def low_name(self) -> str:
        """Of an RSP among the programs' addresses."""
        try:
            program = any(self.current(cpu) for cpu in self.cpus)
        except LookupError:
            program = False
        return "the program's stack" if program else "no stack of ours: what the boot loader or the firmware has left"
