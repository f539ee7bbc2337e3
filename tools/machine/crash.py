# Explains a bad end: which exception at which instruction and source line, the error code in words, the likely cause in
# one sentence, and why no handler was reached.
# Used by tools/boot after a panic and after a triple fault; hang.py does the same for a machine that does not end.
# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from pathlib import Path
from typing import Union

from layers import ROOT

from .address_map import AP_PAGE
from .causes import likely
from .descriptors import Delivery, error_code
from .entry_faults import entry_fault
from .instruction import TRAPS, Code, Instruction
from .records import NAMES, UNKNOWN, Fault, Memory, Registers
from .scene import Scene
from .symbols import Symbols

DOUBLE_FAULT, PAGE_FAULT = 8, 14


def nothing_there(address: int, size: int) -> int:
    raise LookupError("the machine's memory is gone")


class Kernel:
    """The kernel that ran: names and code for its addresses."""

    def __init__(self, elf: Path):
        self.names = Symbols(elf, ROOT)
        self.symbols = {name: int(address, 16) for address, name in
                        (line.split() for line in elf.with_suffix(".sym").read_text().splitlines())}
        self.code = Code(elf)

    def is_code(self, address: int) -> bool:
        return any(address in one for one in self.names.text)

    def place(self, address: int) -> str:
        """'gdt_load+0x2f stages/01-gdt-tss/kernel/gdt.c:31'; empty if it is no code of the kernel's. The code that
        starts other CPUs runs in a copy."""
        copy, start = address - AP_PAGE, self.symbols.get("ap_trampoline")
        if start and 0 <= copy < self.symbols["ap_trampoline_end"] - start:
            return f"ap_trampoline+{copy:#x}, in its copy at {AP_PAGE:#x}"
        return self.names.describe(address, address) if self.is_code(address) else ""

    def function(self, address: int) -> tuple[str, int]:
        """The name before an address, without the labels of steps, and where it begins."""
        known = [(at, name) for name, at in self.symbols.items() if at <= address and ".step" not in name]
        at, name = max(known, default=(address, "?"))
        return name, at


class Explainer:
    """Puts a fault into words, with what is left of the machine."""

    def __init__(self, kernel: Kernel, memory: Memory = nothing_there, physical: Memory = nothing_there):
        self.kernel = kernel
        self.memory = memory
        self.physical = physical

    def scene(self, fault: Fault) -> Scene:
        rip = fault.registers["rip"]
        code = self.kernel.code
        known = self.kernel.is_code(rip)
        instruction = code.at(rip) if known else Instruction(rip, "")
        before = code.before(rip, self.kernel.function(rip - 1)[1]) if known else Instruction(rip, "")
        if before.text in TRAPS.get(fault.vector, ()) and instruction.text != before.text:
            instruction = before        # QEMU's log has the RIP of the trap itself, all others the one behind it
        return Scene(fault, instruction, before, self.kernel.symbols,
                     lambda address: self.kernel.place(address) if self.kernel.is_code(address) else "",
                     self.memory, self.physical, self.framed(fault))

    def framed(self, fault: Fault) -> str:
        """'kernel_main (called at kernel_start+0xe boot.S:140)': the function whose frame RBP is of. The backtrace has
        the return address of its call, not of the calls that it made itself."""
        after = next(iter(fault.backtrace[1:]), 0)
        if not self.kernel.is_code(after):
            return ""
        call = self.kernel.code.before(after, self.kernel.function(after - 1)[1])
        name = re.search(r"<([\w.]+)>", call.text)
        return f"{name[1] if name else 'a function'} (called at {self.kernel.place(call.address)})"

    def explain(self, fault: Fault, reset: bool) -> list[str]:
        """The lines for a person. After a reset they say as well why no handler was reached."""
        scene = self.scene(fault)
        behind = ", behind it" if scene.instruction.address != fault.registers["rip"] else ""
        lines = [headline(fault, scene), f"  {self.whereabouts(scene)} (rip {fault.registers['rip']:#x}{behind},"
                 f" rsp {fault.registers['rsp']:#x}{gs_base(fault.registers)})"]
        if fault.error or fault.vector == PAGE_FAULT and fault.error is not None:
            lines.append(f"  error code {fault.error:#x}: {error_code(fault.vector, fault.error)}" + address_of(fault))
        problems, others = self.undelivered(fault) if reset else ([], [])
        ordinary = fault.ring == 3 or fault.vector not in (UNKNOWN, *NAMES)
        cause = entry_fault(scene)
        if not cause and not (reset and ordinary and problems):
            cause = likely(scene)
        elif not cause:
            cause = f"what {fault.name} of ring {fault.ring} needs is not there"
        lines.append(f"  likely cause: {cause or 'not known; nothing of what is seen says more'}")
        return lines + problems + others

    def whereabouts(self, scene: Scene) -> str:
        name = self.kernel.place(scene.instruction.address)
        return f"at {name}" if name else "in a program" if scene.fault.ring == 3 else "at no code of the kernel"

    def undelivered(self, fault: Fault) -> tuple[list[str], list[str]]:
        """Why it could not be delivered; and, where that cannot be seen, what the attempts have led to."""
        delivery = Delivery(fault.registers, self.memory, self.kernel.symbols)
        problems: dict[str, list[str]] = {}
        for vector in dict.fromkeys((fault.vector, DOUBLE_FAULT)):
            problem = delivery.problem(vector, fault.ring == 0) if fault.vector != UNKNOWN else ""
            if problem:
                problems.setdefault(problem, []).append(NAMES.get(vector, ("it",))[0])
        if problems:
            return [f"  no handler for {' and '.join(names)}: {problem}" for problem, names in problems.items()], []
        attempts = [f"  while it was delivered: {NAMES.get(vector, ('?',))[0]}({error or 0:#x})"
                    + (f", {error_code(vector, error)}" if error and error_code(vector, error) else "")
                    for vector, error in dict.fromkeys(fault.nested) if error is not None]
        return [], attempts + [f"  Bochs: {text}" for text in fault.words]


def headline(fault: Fault, scene: Scene) -> str:
    cpu = f" on CPU {fault.cpu}" if fault.cpu is not None else ""
    on = f" on `{scene.instruction.text}`" if scene.instruction.text else ""
    if fault.vector == UNKNOWN:
        return f"an exception{cpu} in ring {fault.ring}{on}"
    error = f"({fault.error:#x})" if fault.error else ""
    meaning = f": {NAMES[fault.vector][1]}" if fault.vector in NAMES else ""
    return f"{fault.name}{error}{on}{meaning} in ring {fault.ring}{cpu}"


def address_of(fault: Fault) -> str:
    return f", address {fault.registers['cr2']:#x}" if fault.vector == PAGE_FAULT and "cr2" in fault.registers else ""


def gs_base(registers: Registers) -> str:
    return f", gs base {registers['gs_base']:#x}" if "gs_base" in registers else ""


def find_record(faults: list[Fault], reported: Fault) -> Union[Fault, None]:
    """The emulator's record of what the kernel has reported: it has the CPU's tables and GS base as well. Of a #DF
    that began as something else it is that."""
    for fault in reversed(faults):
        same = fault.vector == reported.vector or any(vector == reported.vector for vector, _ in fault.nested)
        if same and fault.registers["rip"] == reported.registers["rip"]:
            fault.cpu, fault.backtrace = reported.cpu, reported.backtrace
            return fault
    return None


def cpu_of(fault: Fault, cpus: list[Registers]) -> Union[int, None]:
    """Which CPU a record is of: it stands there still."""
    for number, registers in enumerate(cpus):
        if (registers["rip"], registers["rsp"]) == (fault.registers["rip"], fault.registers["rsp"]):
            return number
    return None
