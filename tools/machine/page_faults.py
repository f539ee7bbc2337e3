# The likely cause of a #PF in one sentence, concluded from CR2, the error code, the instruction, GS base and page
# tables. Used by tools/machine/causes.py.
# SPDX-License-Identifier: MIT
#
# Source: SDM 3A, "Page-Fault Exceptions".
from __future__ import annotations

from typing import Union

from .address_map import PAGE_SIZE, USER_TOP, in_guard, kind_of_stack
from .scene import Scene

PRESENT, WRITE, USER, RESERVED, FETCH = 1, 2, 4, 8, 16
CR4_SMAP, EFER_NXE, AC = 1 << 21, 1 << 11, 1 << 18
ADDRESS_BITS = 0x000ffffffffff000
MASK = (1 << 64) - 1


def page_fault(scene: Scene) -> str:
    rules = (reserved_bit, fetch, overflow, bad_stack, wrong_gs, read_only, user_page, null_pointer, unmapped)
    return next(filter(None, (rule(scene) for rule in rules)), "")


def reserved_bit(scene: Scene) -> str:
    if not scene.fault.error & RESERVED:
        return ""
    found = find_reserved(scene)
    if not scene.registers.get("efer", EFER_NXE) & EFER_NXE and (not found or found[1] >> 63):
        where = f"the {found[0]} entry {found[1]:#x} has" if found else "a page-table entry has probably"
        return (f"{where} bit 63 (NX) set, which is reserved as long as EFER.NXE is 0: "
                "set NXE on this CPU before it loads these page tables")
    if found:
        return f"the {found[0]} entry {found[1]:#x} on the way to {scene.registers['cr2']:#x} has a reserved bit set"
    return ("a page-table entry on the way to CR2 has a bit set that is reserved "
            "(above the CPU's physical addresses, say)")


def find_reserved(scene: Scene) -> Union[tuple[str, int], None]:
    """The first entry of the walk that cannot be right: NX without NXE, or an address beyond 46 bits."""
    table, address = scene.registers["cr3"] & ADDRESS_BITS, scene.registers["cr2"]
    no_nx = not scene.registers.get("efer", EFER_NXE) & EFER_NXE
    for shift, name in ((39, "PML4"), (30, "PDPT"), (21, "PD"), (12, "PT")):
        try:
            entry = scene.physical(table + 8 * (address >> shift & 511), 8)
        except LookupError:
            return None
        if entry >> 63 and no_nx or entry & ADDRESS_BITS >= 1 << 46 or name == "PML4" and entry & 0x80:
            return name, entry
        if not entry & 1 or entry & 0x80:
            return None
        table = entry & ADDRESS_BITS
    return None


def fetch(scene: Scene) -> str:
    """The fault is of the instruction's own address."""
    registers, error = scene.registers, scene.fault.error
    rip, cr2 = registers["rip"], registers["cr2"]
    if not error & FETCH and not rip <= cr2 < rip + 15 or error & WRITE:
        return ""
    loaded = scene.before.mnemonic == "mov" and scene.before.operands[0] == "cr3"
    if loaded or scene.within(rip, "text_start", "text_end") and not error & PRESENT:
        return (f"CR3 was loaded with {registers['cr3']:#x}, and those page tables do not map the code that executes: "
                "not a page table, or one without the kernel's half")
    if rip < PAGE_SIZE:
        return f"a call, jump or ret to address 0{came_from(scene)}"
    if error & PRESENT and not error & USER and rip < USER_TOP:
        return f"SMEP: ring 0 jumped to code of a program's ({rip:#x}){came_from(scene)}"
    if error & PRESENT:
        return f"a jump to data: the page of {rip:#x} is not executable (NX){came_from(scene)}"
    return f"a jump to {rip:#x}, where no code is{came_from(scene)}"


def came_from(scene: Scene) -> str:
    """Who called, if the word on top of the stack is a return address. Where the stack is gone, whose frame it was."""
    caller = scene.read(scene.registers["rsp"])
    name = scene.name_of(caller - 1) if caller else ""
    if name:
        return f"; the word on top of the stack is a return address: {name}"
    return f"; it was in {scene.framed} or in what that has called" if scene.framed else ""


def overflow(scene: Scene) -> str:
    cr2, rsp = scene.registers["cr2"], scene.registers["rsp"]
    if in_guard(cr2, scene.symbols) and rsp - 2 * PAGE_SIZE < cr2 < rsp + 4 * PAGE_SIZE:
        return (f"a kernel stack overflow: {cr2:#x} is in the guard page below it, and RSP is {rsp:#x}; "
                "endless recursion, or too much on the stack")
    return ""


def bad_stack(scene: Scene) -> str:
    """The access is the stack's, and RSP is the reason."""
    if not scene.instruction.uses_stack() or scene.instruction.stack_address(scene.registers) != scene.registers["cr2"]:
        return ""
    rsp = scene.registers["rsp"]
    return f"`{scene.instruction.mnemonic}` with RSP = {rsp:#x}, which is {kind_of_stack(rsp, scene.symbols)}"


def wrong_gs(scene: Scene) -> str:
    if scene.instruction.segment != "gs" or scene.fault.ring:
        return ""
    offset = scene.instruction.offset(scene.registers) or 0
    base = scene.registers.get("gs_base", scene.registers["cr2"] - offset & (1 << 64) - 1)
    if base < USER_TOP:
        whose = "0, which no PCR has" if base == 0 else f"{base:#x}, a program's"
        return (f"the kernel uses gs: while GS base is {whose}: a swapgs is missing on this way, "
                "or there is one too many")
    if scene.registers["cr2"] != base + offset:
        return ""
    return f"the kernel uses gs: while GS base is {base:#x}, where no PCR is"


def read_only(scene: Scene) -> str:
    cr2, error = scene.registers["cr2"], scene.fault.error
    if error & (PRESENT | WRITE | USER) != PRESENT | WRITE or cr2 < USER_TOP:
        return ""
    if scene.within(cr2, "text_start", "text_end"):
        return f"a write to the kernel's own code ({scene.name_of(cr2) or hex(cr2)}), whose pages are read-only"
    if scene.within(cr2, "text_start", "rodata_end"):
        return f"a write to a constant of the kernel's ({hex(cr2)}), whose pages are read-only"
    return f"a write to {cr2:#x}, whose page is read-only"


def user_page(scene: Scene) -> str:
    cr2, error = scene.registers["cr2"], scene.fault.error
    if not error & PRESENT or error & USER or cr2 >= USER_TOP:
        return ""
    flags, cr4 = scene.registers.get("rflags", 0), scene.registers.get("cr4", 0)
    if cr4 & CR4_SMAP and not flags & AC:
        return (f"SMAP: ring 0 touches a program's memory ({cr2:#x}) while AC is clear; only the copy to and from a "
                "program may, between stac and clac")
    return f"ring 0 writes to a page of a program's ({cr2:#x}) that is read-only"


def null_pointer(scene: Scene) -> str:
    cr2 = scene.registers["cr2"]
    if cr2 >= PAGE_SIZE:
        return ""
    return f"a null pointer is followed{at_offset(cr2)}{by_operand(scene)}"


def at_offset(cr2: int) -> str:
    return f", to a member at offset {cr2:#x}" if cr2 else ""


def by_operand(scene: Scene) -> str:
    operand = scene.instruction.operand
    return f": {operand}" if operand and scene.instruction.linear(scene.registers) == scene.registers["cr2"] else ""


def unmapped(scene: Scene) -> str:
    cr2 = scene.registers["cr2"]
    if cr2 < USER_TOP:
        return f"ring 0 follows a pointer into ring 3's addresses, where no page is ({cr2:#x}){by_operand(scene)}"
    if in_guard(cr2, scene.symbols):
        return (f"{cr2:#x} is in the guard page below a kernel stack, and not the one in use: "
                "a pointer to a stack runs off it")
    return f"no page is mapped at {cr2:#x}{by_operand(scene)}: a wild pointer, or memory that was never mapped"
