# Kernels that break one promise which the sweeps are about, for the tests that want to see it noticed.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from claims.changes import change, layer

STAGE = "05"
SYSCALL_ENTRY, CLOCK, SCHED = "kernel/syscall_entry.S", "kernel/clock.c", "kernel/sched.c"
STI_AND_CALL = "                          sti\n                          call    syscall_dispatch\n"
CALL = "                          call    syscall_dispatch\n"
PUSH_SS = "STEP(syscall_entry, 4)    push    SEL_USER_DATA               /* frame.ss */\n"
CLI = f"{' ' * 26}cli{' ' * 33}/* from the decision to return on, nothing may come in */\n"
EOI = "    lapic_write(LAPIC_EOI, 0); /* before the switch: the next task must have its tick as well */\n"
FIND_PCR = """\
STEP(paranoid_entry, 2)   mov     ecx, MSR_GS_BASE
                          rdmsr
                          mov     ebx, eax                    /* the base that was interrupted; C keeps rbx and r12 */
                          mov     r12d, edx
STEP(paranoid_entry, 3)   mov     eax, [rsp + FRAME_SIZE]
                          mov     edx, [rsp + FRAME_SIZE + 4]
                          wrmsr                               /* GS = the PCR; no branch decides, none can be wrong */
"""
ASK_CS = """\
STEP(paranoid_entry, 2)   test    byte ptr [rsp + FRAME_CS], 3
                          jz      1f
                          swapgs
1:
STEP(paranoid_entry, 3)
"""
RESTORE = """\
STEP(paranoid_entry, 5)   mov     eax, ebx
                          mov     edx, r12d
                          mov     ecx, MSR_GS_BASE
                          wrmsr
"""
ASK_CS_AGAIN = """\
STEP(paranoid_entry, 5)   test    byte ptr [rsp + FRAME_CS], 3
                          jz      2f
                          swapgs
2:
"""

# What is broken: the changed files, each with its replacements.
KERNELS = {
    # Interrupts are on one instruction too early, before the program's RSP has left the scratch word.
    "sti-too-early": {SYSCALL_ENTRY: [(STI_AND_CALL, CALL), (PUSH_SS, f"    sti\n{PUSH_SS}")]},
    "no-cli": {SYSCALL_ENTRY: [(CLI, "")]},
    "sfmask-without-if": {"kernel/syscall_init.c": [("(RFLAGS_USER | RFLAGS_IF |", "(RFLAGS_USER |"),
                                                    ("0x257fd5", "0x257dd5")]},
    "no-eoi": {CLOCK: [(EOI, "")]},
    "no-clac": {"kernel/entry_macros.h": [("    CLAC                /* a gate leaves", "    nop                 /*")]},
    # A trap gate leaves interrupts on, and another fault may come before CR2 has been read.
    "page-fault-by-trap-gate": {"kernel/idt.c": [("    idt_allow_user(VECTOR_BP);",
                                                  "    idt[VECTOR_PF][0] |= 1ul << 40, idt_allow_user(VECTOR_BP);")]},
    # The test whether anybody waits, and the HLT, with an interrupt possible in between.
    "sti-before-the-test": {SCHED: [("        cli();\n        if (READ_ONCE", "        sti();\n        if (READ_ONCE"),
                                    ('"sti; hlt"', '"hlt"')]},
    # A new task's switch turns interrupts on, with the run queue locked.
    "first-run-with-if": {SCHED: [(".rflags = RFLAGS_ONE, .rbx", ".rflags = RFLAGS_ONE | RFLAGS_IF, .rbx")]},
    # The entry of NMIs believes the saved CS, as the other entries may.
    "nmi-asks-cs": {"kernel/paranoid_entry.S": [(FIND_PCR, ASK_CS), (RESTORE, ASK_CS_AGAIN)]},
    "nmi-keeps-gs": {"kernel/paranoid_entry.S": [(RESTORE, "STEP(paranoid_entry, 5)\n")]},
    "no-mce": {"kernel/protect.c": [("CR4_PAE | CR4_MCE;", "CR4_PAE;")]},
}


def broken(name: str) -> tuple[str, ...]:
    """The layer of one of these kernels; none for the sound one."""
    if not name:
        return ()
    return (layer(f"sweeps-{name}", *(change(STAGE, file, *changes) for file, changes in KERNELS[name].items())),)
