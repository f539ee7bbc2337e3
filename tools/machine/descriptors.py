# What selectors, error codes and gates say: descriptors of the GDT and the IDT decoded, and why an exception could not
# be delivered through them. Reads the machine's memory, where that can be seen.
# Used by tools/machine/causes.py and tools/machine/crash.py.
# SPDX-License-Identifier: MIT
#
# Sources: SDM 3A, "Error Code", "Segment Descriptors", "64-Bit Mode IDT" and "Task Management in 64-bit Mode".
from __future__ import annotations

from typing import Union

from .address_map import kind_of_stack
from .records import NAMES, Memory, Registers

EXTERNAL, IN_IDT, IN_LDT = 1, 2, 4
TYPES = {2: "LDT", 9: "64-bit TSS", 11: "busy 64-bit TSS", 12: "call gate", 14: "interrupt gate", 15: "trap gate"}
INTERRUPT_GATE, TRAP_GATE = 14, 15


def error_code(vector: int, error: int) -> str:
    """The meaning of an error code, of any exception that has one."""
    if vector == 14:
        return page_fault_code(error)
    if vector in (8, 17) or error == 0:
        return ""
    if error & IN_IDT:
        number = error >> 3
        return f"the IDT's gate of vector {number} ({NAMES.get(number, (f'interrupt {number:#x}',))[0]})"
    table = "LDT" if error & IN_LDT else "GDT"
    return f"selector {error & ~3:#x}, entry {error >> 3} of the {table}"


def page_fault_code(error: int) -> str:
    words = ["instruction fetch" if error & 16 else "write" if error & 2 else "read",
             "by ring 3" if error & 4 else "by ring 0",
             "a reserved bit is set" if error & 8 else "the page is there" if error & 1 else "no page"]
    return ", ".join(words)


def describe_entry(selector: int, registers: Registers, memory: Memory) -> str:
    """What the GDT has for a selector, or that it has nothing."""
    base, limit = registers.get("gdt_base"), registers.get("gdt_limit")
    offset = selector & ~7
    if limit is None or base is None:
        return ""
    if offset + 7 > limit:
        return f"lies beyond the GDT's limit {limit:#x}"
    try:
        entry = memory(base + offset, 8)
    except LookupError:
        return "lies in a GDT that is not mapped"
    if offset == 0:
        return "is the null selector"
    return "has a " + describe_descriptor(entry)


def describe_descriptor(entry: int) -> str:
    if entry == 0:
        return "descriptor of zeros"
    kind, system = entry >> 40 & 15, not entry >> 44 & 1
    ring = entry >> 45 & 3
    absent = "" if entry >> 47 & 1 else " that is not present"
    if system:
        return f"descriptor of type {kind} ({TYPES.get(kind, 'reserved in 64-bit mode')}){absent}"
    if kind & 8:
        width = "64-bit" if entry >> 53 & 1 else "32-bit"
        return f"{width} code descriptor of ring {ring}{absent}"
    return f"data descriptor of ring {ring}{absent}"


class Delivery:
    """Why a vector's handler was not reached, from the IDT, the TSS and the stack as they are."""

    def __init__(self, registers: Registers, memory: Memory, symbols: dict[str, int]):
        self.registers = registers
        self.memory = memory
        self.symbols = symbols

    def problem(self, vector: int, same_ring: bool = True) -> str:
        """In words; empty if nothing can be seen that would be wrong."""
        base, limit = self.registers.get("idt_base"), self.registers.get("idt_limit")
        if base is None or limit is None:
            return ""
        if 16 * vector + 15 > limit:
            return f"the IDT (at {base:#x}, limit {limit:#x}) has no gate for it"
        try:
            low, high = self.memory(base + 16 * vector, 8), self.memory(base + 16 * vector + 8, 8)
        except LookupError:
            return f"the IDT at {base:#x} is not mapped"
        return self.gate_problem(low, high) or self.stack_problem(low >> 32 & 7, same_ring)

    def gate_problem(self, low: int, high: int) -> str:
        handler = (low & 0xffff) | (low >> 48 & 0xffff) << 16 | (high & 0xffffffff) << 32
        if not low >> 47 & 1:
            return "its gate in the IDT is not present"
        if low >> 40 & 15 not in (INTERRUPT_GATE, TRAP_GATE):
            return f"its gate in the IDT is of type {low >> 40 & 15}, neither interrupt nor trap gate"
        selector = low >> 16 & 0xffff
        entry = describe_entry(selector, self.registers, self.memory)
        if "64-bit code descriptor of ring 0" not in entry or "not present" in entry:
            return f"its gate names the selector {selector:#x}, which {entry}"
        try:
            self.memory(handler, 1)
        except LookupError:
            return f"its handler, at {handler:#x}, is not mapped"
        return ""

    def stack_problem(self, number: int, same_ring: bool) -> str:
        """The stack on which the frame is to be pushed: IST stack `number`, rsp0, or the one in use."""
        try:
            rsp, name = self.stack(number, same_ring)
        except LookupError:
            base, selector = self.registers.get("tr_base", 0), self.registers.get("tr", 0)
            return f"the TSS at {base:#x} cannot be read (TR is {selector:#x})"
        if rsp is None:
            return ""
        try:
            self.memory((rsp & ~15) - 8, 8)
            return ""
        except LookupError:
            where = kind_of_stack(rsp, self.symbols)
            return f"the stack for its frame, {name}, is at {rsp:#x}, where no memory is mapped: {where}"

    def stack(self, number: int, same_ring: bool) -> tuple[Union[int, None], str]:
        tss = self.registers.get("tr_base", 0)
        if number:
            return self.memory(tss + 36 + 8 * (number - 1), 8), f"IST {number}"
        if not same_ring:
            return self.memory(tss + 4, 8), "tss.rsp0"
        return self.registers.get("rsp"), "the one in use (its gate names no IST stack)"
