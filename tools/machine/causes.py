# The likely cause of a fault in one sentence, concluded from what is seen: vector, error code, the instruction at RIP and
# its operands, CR2, control registers, the stack, and the machine's memory where that can be read.
# Used by tools/machine/crash.py. A new kind of fault is a new rule here.
# SPDX-License-Identifier: MIT
#
# Sources: SDM 3A, "Exception and Interrupt Reference"; SDM 2, the exceptions of each instruction.
from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Union

from .address_map import PAGE_SIZE, USER_TOP, canonical, in_guard, is_top, kind_of_stack
from .descriptors import IN_IDT, describe_entry, error_code
from .instruction import Instruction
from .records import NAMES, Fault, Memory, Registers

PRESENT, WRITE, USER, RESERVED, FETCH = 1, 2, 4, 8, 16
CR0_EM, CR0_TS, CR4_OSFXSR, CR4_FSGSBASE, CR4_SMEP, CR4_SMAP = 1 << 2, 1 << 3, 1 << 9, 1 << 16, 1 << 20, 1 << 21
EFER_SCE, EFER_NXE, AC = 1, 1 << 11, 1 << 18
MSRS = {0xc0000080: "EFER", 0xc0000081: "STAR", 0xc0000082: "LSTAR", 0xc0000083: "CSTAR", 0xc0000084: "SFMASK",
        0xc0000100: "FS_BASE", 0xc0000101: "GS_BASE", 0xc0000102: "KERNEL_GS_BASE", 0x1b: "APIC_BASE"}
SELECTORS = ("ds", "es", "ss", "fs", "gs")
ADDRESS_BITS = 0x000ffffffffff000


@dataclass
class Scene:
    """A fault and what can be seen around it. The readers of memory raise LookupError where nothing can be read."""

    fault: Fault
    instruction: Instruction
    before: Instruction                 # the one above it
    symbols: dict[str, int]
    name_of: Callable[[int], str]       # 'function+0x10 file:line'; empty if it is no address of code
    memory: Memory
    physical: Memory

    @property
    def registers(self) -> Registers:
        return self.fault.registers

    def read(self, address: int, size: int = 8) -> Union[int, None]:
        try:
            return self.memory(address, size)
        except LookupError:
            return None

    def within(self, address: int, start: str, end: str) -> bool:
        return self.symbols.get(start, 0) <= address < self.symbols.get(end, 0)


def likely(scene: Scene) -> str:
    """The cause in one sentence; empty if nothing can be concluded."""
    rules = {14: page_fault, 13: protection, 12: protection, 11: protection, 10: protection, 6: invalid_opcode,
             7: no_fpu, 8: double_fault, 0: divide, 1: debug, 2: nmi, 18: machine_check}
    return rules[scene.fault.vector](scene) if scene.fault.vector in rules else ""


# #PF

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
    return "a page-table entry on the way to CR2 has a bit set that is reserved (above the CPU's physical addresses, say)"


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
    if scene.before.mnemonic == "mov" and scene.before.operands[0] == "cr3" or scene.within(rip, "text_start", "text_end") \
            and not error & PRESENT:
        return (f"CR3 was loaded with {registers['cr3']:#x}, and those page tables do not map the code that executes: "
                "not a page table, or one without the kernel's half")
    if rip < PAGE_SIZE:
        return f"a call or jump through a null pointer{came_from(scene)}"
    if error & PRESENT and not error & USER and rip < USER_TOP:
        return f"SMEP: ring 0 jumped to code of a program's ({rip:#x}){came_from(scene)}"
    if error & PRESENT:
        return f"a jump to data: the page of {rip:#x} is not executable (NX){came_from(scene)}"
    return f"a jump to {rip:#x}, where no code is{came_from(scene)}"


def came_from(scene: Scene) -> str:
    """Who called, if the word on top of the stack is a return address."""
    caller = scene.read(scene.registers["rsp"])
    name = scene.name_of(caller - 1) if caller else ""
    return f"; the word on top of the stack is a return address: {name}" if name else ""


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
        return f"the kernel uses gs: while GS base is {whose}: a swapgs is missing on this way, or there is one too many"
    return f"the kernel uses gs: while GS base is {base:#x}, where no PCR is" if scene.registers["cr2"] == base + offset else ""


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
        return f"{cr2:#x} is in the guard page below a kernel stack, and not the one in use: a pointer to a stack runs off it"
    return f"no page is mapped at {cr2:#x}{by_operand(scene)}: a wild pointer, or memory that was never mapped"


# #GP, #SS, #NP, #TS

def protection(scene: Scene) -> str:
    rules = (bad_gate, load_task_register, return_frame, sysret, model_specific, control_register, bad_selector,
             not_canonical, misaligned)
    return next(filter(None, (rule(scene) for rule in rules)), "")


def bad_gate(scene: Scene) -> str:
    error = scene.fault.error or 0
    if not error & IN_IDT:
        return ""
    vector = error >> 3
    name = NAMES.get(vector, (f"interrupt {vector:#x}",))[0]
    limit = scene.registers.get("idt_limit")
    why = f": the IDT's limit is {limit:#x}" if limit is not None and 16 * vector + 15 > limit else \
        ": it is absent, of a wrong type, or `int` may not use it from this ring"
    return f"{name} could not be delivered, its gate in the IDT is at fault{why}"


def load_task_register(scene: Scene) -> str:
    if scene.instruction.mnemonic != "ltr":
        return ""
    selector = (scene.fault.error or 0) & ~7 or scene.instruction.value(scene.instruction.operands[0], scene.registers) or 0
    limit = scene.registers.get("gdt_limit")
    if limit is not None and selector + 7 <= limit < selector + 15:
        return (f"the TSS descriptor is 16 bytes in 64-bit mode, at {selector:#x} to {selector + 15:#x}, "
                f"and the GDT ends at {limit:#x}: it has room for 8")
    high = scene.read(scene.registers.get("gdt_base", 0) + selector + 8)
    if high is not None and high >> 40 & 31:
        return (f"the TSS descriptor is 16 bytes in 64-bit mode: its second half, at {selector + 8:#x}, holds {high:#x}, "
                "a descriptor of its own")
    entry = describe_entry(selector, scene.registers, scene.memory)
    return f"`ltr` wants an available 64-bit TSS, and {selector:#x} {entry}" if entry else \
        f"`ltr` wants an available 64-bit TSS descriptor of 16 bytes at {selector:#x}, inside the GDT's limit"


def return_frame(scene: Scene) -> str:
    """IRET and far returns, which take selectors from the stack."""
    mnemonic = scene.instruction.mnemonic
    if not mnemonic.startswith(("iret", "retf", "lret")):
        return ""
    error, rsp = scene.fault.error or 0, scene.registers["rsp"]
    rip, cs = scene.read(rsp), scene.read(rsp + 8)
    ss = scene.read(rsp + 32) if mnemonic.startswith("iret") else None
    if error:
        which = "CS" if cs is not None and cs & ~3 == error & ~3 else "SS" if ss is not None and ss & ~3 == error & ~3 else ""
        entry = describe_entry(error, scene.registers, scene.memory)
        return (f"`{mnemonic}` takes {which + ' = ' if which else 'the selector '}{error & ~3:#x} from the frame"
                f"{', which ' + entry if entry else ''}: {error_code(13, error)} cannot be used there")
    if rip is not None and not canonical(rip):
        return f"`{mnemonic}` to {rip:#x}, which is not canonical; checked before, it would be an error of the program alone"
    return f"`{mnemonic}` refuses the frame at RSP = {rsp:#x}" + (f": RIP {rip:#x}, CS {cs:#x}" if rip is not None and cs is not None else "")


def sysret(scene: Scene) -> str:
    rcx = scene.registers.get("rcx", 0)
    if not scene.instruction.mnemonic.startswith("sysret") or canonical(rcx):
        return ""
    return (f"`sysretq` to RCX = {rcx:#x}, which is not canonical, faults in ring 0 with the program's RSP "
            f"({scene.registers['rsp']:#x}) and GS (CVE-2012-0217): check the return address before")


def model_specific(scene: Scene) -> str:
    if scene.instruction.mnemonic not in ("wrmsr", "rdmsr"):
        return ""
    number = scene.registers.get("rcx", 0) & 0xffffffff
    name = MSRS.get(number, f"{number:#x}")
    if scene.instruction.mnemonic == "rdmsr":
        return f"`rdmsr`: this CPU has no MSR {name}"
    value = (scene.registers.get("rdx", 0) & 0xffffffff) << 32 | scene.registers.get("rax", 0) & 0xffffffff
    why = "which is not canonical" if name.endswith(("BASE", "STAR")) and not canonical(value) else \
        "which has a reserved bit set, or there is no such MSR"
    return f"`wrmsr` to {name} of {value:#x}, {why}"


def control_register(scene: Scene) -> str:
    operands = scene.instruction.operands
    if scene.instruction.mnemonic != "mov" or not operands[0].startswith("cr"):
        return ""
    value = scene.instruction.value(operands[1], scene.registers) if len(operands) > 1 else None
    return f"{operands[0].upper()} does not take {value:#x}: a bit in it is reserved on this CPU, or contradicts another" \
        if value is not None else ""


def bad_selector(scene: Scene) -> str:
    error = scene.fault.error or 0
    if not error & ~7:
        return ""
    entry = describe_entry(error, scene.registers, scene.memory)
    return f"{error_code(scene.fault.vector, error)}{', ' + entry + ',' if entry else ''} cannot be loaded here"


def not_canonical(scene: Scene) -> str:
    instruction, registers = scene.instruction, scene.registers
    address = instruction.linear(registers)
    if address is not None and not canonical(address):
        return f"the address {address:#x} ({instruction.operand}) is not canonical: the pointer is garbage"
    if instruction.uses_stack() and not canonical(registers["rsp"]):
        return f"RSP = {registers['rsp']:#x} is not canonical"
    if not canonical(registers["rip"]):
        return f"a jump to {registers['rip']:#x}, which is not canonical"
    for operand in instruction.operands:
        value = instruction.value(operand, registers)
        if instruction.mnemonic in ("jmp", "call") and value is not None and not canonical(value):
            return f"a jump to {operand} = {value:#x}, which is not canonical"
    return ""


def misaligned(scene: Scene) -> str:
    address, mnemonic = scene.instruction.linear(scene.registers), scene.instruction.mnemonic
    if address is None or not address % 16:
        return ""
    if mnemonic.startswith(("fxsave", "fxrstor", "movaps", "movdqa", "movapd")):
        return f"`{mnemonic}` wants an address that is a multiple of 16, and this one is {address:#x}"
    return ""


# The others

def invalid_opcode(scene: Scene) -> str:
    text, mnemonic, registers = scene.instruction.text, scene.instruction.mnemonic, scene.registers
    if mnemonic == "ud2":
        return "a ud2: put there on purpose, or by the compiler where it found that nothing can get there"
    if "xmm" in text and not registers.get("cr4", 0) & CR4_OSFXSR:
        return "an SSE instruction while CR4.OSFXSR is 0"
    if mnemonic in ("rdgsbase", "wrgsbase", "rdfsbase", "wrfsbase") and not registers.get("cr4", 0) & CR4_FSGSBASE:
        return f"`{mnemonic}` while CR4.FSGSBASE is 0"
    if mnemonic.startswith(("syscall", "sysret")) and not registers.get("efer", EFER_SCE) & EFER_SCE:
        return f"`{mnemonic}` while EFER.SCE is 0 on this CPU: its MSRs were not set up"
    if mnemonic in ("stac", "clac"):
        return f"`{mnemonic}` on a CPU without SMAP"
    if not text:
        return "no instruction of the kernel's is there: a jump into data or to a wrong address"
    return f"`{text}` is no instruction that this CPU has, or RIP is in the middle of another one"


def no_fpu(scene: Scene) -> str:
    cr0 = scene.registers.get("cr0", 0)
    return f"an FPU or SSE instruction while CR0.{'EM' if cr0 & CR0_EM else 'TS'} is set" if cr0 & (CR0_EM | CR0_TS) else ""


def double_fault(scene: Scene) -> str:
    """Of the first fault nothing is known but CR2, if it was a #PF."""
    cr2, rsp = scene.registers.get("cr2", 0), scene.registers["rsp"]
    if in_guard(cr2, scene.symbols):
        return (f"a kernel stack overflow: {cr2:#x} is in a stack's guard page, and RSP is {rsp:#x}; the #PF found no "
                "room for its frame and became #DF")
    if not (kind_of_stack(rsp, scene.symbols).endswith("stack") or is_top(rsp)) or "no kernel" in kind_of_stack(rsp, scene.symbols):
        return f"an exception found no stack: RSP is {rsp:#x}, {kind_of_stack(rsp, scene.symbols)}"
    return ""


def divide(scene: Scene) -> str:
    operand = scene.instruction.operands[0] if scene.instruction.text else ""
    value = scene.instruction.value(operand, scene.registers)
    return f"`{scene.instruction.text}` with {operand} = {value:#x}" if value is not None else "a division by 0, or too large a result"


def debug(scene: Scene) -> str:
    return "TF is set, or a breakpoint register matches, in ring 0" if not scene.fault.ring else ""


def nmi(scene: Scene) -> str:
    return "an NMI came, and no handler takes it"


def machine_check(scene: Scene) -> str:
    return "the CPU reports broken hardware"
