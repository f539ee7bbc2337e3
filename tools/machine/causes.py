# The likely cause of a fault in one sentence, concluded from what is seen: vector, error code, the instruction at RIP
# and its operands, CR2, control registers, the stack, and memory where it can be read. A new kind of fault is a new rule.
# Used by tools/machine/crash.py.
# SPDX-License-Identifier: MIT
#
# Source: SDM 3A, "Exception and Interrupt Reference".
from __future__ import annotations

from .address_map import USER_TOP, in_guard, is_top, kind_of_stack
from .instruction import TRAPS
from .page_faults import page_fault
from .protection_faults import protection
from .scene import Scene

CR0_EM, CR0_TS, CR4_OSFXSR, CR4_FSGSBASE, EFER_SCE = 1 << 2, 1 << 3, 1 << 9, 1 << 16, 1


def likely(scene: Scene) -> str:
    """The cause in one sentence; empty if nothing can be concluded."""
    rules = {14: page_fault, 13: protection, 12: protection, 11: protection, 10: protection, 6: invalid_opcode,
             7: no_fpu, 8: double_fault, 0: divide, 1: debug, 2: nmi, 3: trap, 18: machine_check}
    return syscall_target(scene) or (rules[scene.fault.vector](scene) if scene.fault.vector in rules else "")


def syscall_target(scene: Scene) -> str:
    """SYSCALL has left the program's RSP, put its RIP into RCX and its RFLAGS, whose bit 1 is always 1, into R11."""
    rip, rsp, rcx, r11 = (scene.registers.get(name, USER_TOP) for name in ("rip", "rsp", "rcx", "r11"))
    if scene.fault.ring or scene.instruction.text or max(rsp, rcx) >= USER_TOP or r11 >= 1 << 22 or not r11 & 2:
        return ""
    why = "no code of the kernel is there" if rip else "nobody has written it on this CPU"
    return f"SYSCALL went to IA32_LSTAR (from 32-bit code to IA32_CSTAR), which is {rip:#x}: {why}"


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
    if not cr0 & (CR0_EM | CR0_TS):
        return ""
    return f"an FPU or SSE instruction while CR0.{'EM' if cr0 & CR0_EM else 'TS'} is set"


def double_fault(scene: Scene) -> str:
    """Of the first fault nothing is known but CR2, if it was a #PF. In ring 3 RSP is the program's, and right."""
    cr2, rsp = scene.registers.get("cr2", 0), scene.registers["rsp"]
    if in_guard(cr2, scene.symbols):
        return (f"a kernel stack overflow: {cr2:#x} is in a stack's guard page, and RSP is {rsp:#x}; the #PF found no "
                "room for its frame and became #DF")
    kind = kind_of_stack(rsp, scene.symbols)
    if not scene.fault.ring and kind not in ("the boot stack", "a kernel stack") and not is_top(rsp):
        return f"an exception found no stack: RSP is {rsp:#x}, {kind}"
    return ""


def divide(scene: Scene) -> str:
    operand = scene.instruction.operands[0] if scene.instruction.text else ""
    value = scene.instruction.value(operand, scene.registers)
    if value is None:
        return "a division by 0, or too large a result"
    return f"`{scene.instruction.text}` with {operand} = {value:#x}"


def trap(scene: Scene) -> str:
    """An instruction that raises its vector on purpose."""
    text, vector = scene.instruction.text, scene.fault.vector
    if text not in TRAPS[vector]:
        return ""
    return f"an INT{vector} of a debugger's, or one left in the code"


def debug(scene: Scene) -> str:
    if scene.instruction.text in TRAPS[1]:
        return trap(scene)
    return "TF is set, or a breakpoint register matches, in ring 0" if not scene.fault.ring else ""


def nmi(scene: Scene) -> str:
    return "an NMI came, and no handler takes it"


def machine_check(scene: Scene) -> str:
    return "the CPU reports broken hardware"
