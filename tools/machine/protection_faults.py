# The likely cause of a #GP, #SS, #NP or #TS in one sentence, concluded from the instruction, its operands, the error
# code and the descriptors. Used by tools/machine/causes.py.
# SPDX-License-Identifier: MIT
#
# Source: SDM 2, the exceptions of each instruction.
from __future__ import annotations

from .address_map import canonical
from .descriptors import IN_IDT, describe_entry, error_code
from .records import NAMES
from .scene import Scene

MSRS = {0xc0000080: "EFER", 0xc0000081: "STAR", 0xc0000082: "LSTAR", 0xc0000083: "CSTAR", 0xc0000084: "SFMASK",
        0xc0000100: "FS_BASE", 0xc0000101: "GS_BASE", 0xc0000102: "KERNEL_GS_BASE", 0x1b: "APIC_BASE"}


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
    operand = scene.instruction.value(scene.instruction.operands[0], scene.registers)
    selector = (scene.fault.error or 0) & ~7 or operand or 0
    limit = scene.registers.get("gdt_limit")
    if limit is not None and selector + 7 <= limit < selector + 15:
        return (f"the TSS descriptor is 16 bytes in 64-bit mode, at {selector:#x} to {selector + 15:#x}, "
                f"and the GDT ends at {limit:#x}: it has room for 8")
    high = scene.read(scene.registers.get("gdt_base", 0) + selector + 8)
    if high is not None and high >> 40 & 31:
        return (f"the TSS descriptor is 16 bytes in 64-bit mode: its second half, at {selector + 8:#x}, "
                f"holds {high:#x}, a descriptor of its own")
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
        named = [name for name, value in (("CS", cs), ("SS", ss)) if value is not None and value & ~3 == error & ~3]
        which = named[0] if named else ""
        entry = describe_entry(error, scene.registers, scene.memory)
        return (f"`{mnemonic}` takes {which + ' = ' if which else 'the selector '}{error & ~3:#x} from the frame"
                f"{', which ' + entry if entry else ''}: {error_code(13, error)} cannot be used there")
    if rip is not None and not canonical(rip):
        return (f"`{mnemonic}` to {rip:#x}, which is not canonical; checked before, it would be an error of the program "
                "alone")
    seen = f": RIP {rip:#x}, CS {cs:#x}" if rip is not None and cs is not None else ""
    return f"`{mnemonic}` refuses the frame at RSP = {rsp:#x}{seen}"


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
    if value is None:
        return ""
    return (f"{operands[0].upper()} does not take {value:#x}: a bit in it is reserved on this CPU, "
            "or contradicts another")


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
