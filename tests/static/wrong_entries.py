# Kernels in which GS or a stack is wrong on the way in or out.
# Put together in wrong_kernels.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from static.kernels import Mutant
from static.lines import (
    BOOT, DROP, ENTRY_SWAPGS, EXIT_SWAPGS, MACROS, PARANOID, SCRATCH, STACK, SYSCALL, USER_STACK, after, without)

GS = [
    Mutant("no-swapgs-in-syscall", "gs-owner", "syscall_entry", SYSCALL, without(ENTRY_SWAPGS)),
    Mutant("no-swapgs-in-syscall-03", "gs-owner", "syscall_entry", SYSCALL, without(ENTRY_SWAPGS), "03"),
    Mutant("no-swapgs-before-sysret", "gs-exit", "syscall_entry", SYSCALL, without(EXIT_SWAPGS)),
    Mutant("sysret-without-a-look-at-tf", "exit", "syscall_entry", MACROS, without("    jnz     interrupt_return\n")),
    Mutant("swapgs-late", "gs-owner", "syscall_entry", SYSCALL, ((ENTRY_SWAPGS + SCRATCH, SCRATCH + ENTRY_SWAPGS),)),
    Mutant("no-swapgs-on-interrupt", "gs-owner", "interrupt_entry", MACROS, (("1:  swapgs\n", "1:\n"),)),
    Mutant("swapgs-on-every-interrupt", "gs-owner", "interrupt_entry", MACROS, without("    jne     2f\n")),
    Mutant(
        "no-fix-up-of-iretq",
        "gs-owner",
        "interrupt_entry",
        MACROS,
        (("    jnz     1f\n    cmp", "    jz      2f\n    cmp"), ("    jne     2f\n", "")),
    ),
    Mutant("no-swapgs-before-iretq", "gs-exit", "interrupt_return", MACROS, (("    swapgs\nSTEP", "STEP"),)),
    Mutant(
        "swapgs-before-every-iretq",
        "gs-exit",
        "interrupt_return",
        MACROS,
        (("    jz      1f\n    swapgs\nSTEP", "    swapgs\nSTEP"),),
    ),
    Mutant(
        "nmi-asks-the-saved-cs",
        "gs-owner",
        "interrupt_entry",
        MACROS,
        (("IST_ENTRY      ist_entry", "IST_ENTRY      interrupt_entry"),),
    ),
    Mutant(
        "mc-asks-the-saved-cs",
        "gs-owner",
        "interrupt_entry",
        MACROS,
        (("PARANOID_ENTRY paranoid_entry", "PARANOID_ENTRY interrupt_entry"),),
    ),
    Mutant(
        "paranoid-keeps-the-pcr",
        "gs-exit",
        "paranoid_entry",
        PARANOID,
        (("                          wrmsr\n                          POP", "                          POP"),),
    ),
    Mutant(
        "paranoid-mixes-the-halves",
        "wrmsr",
        "paranoid_entry",
        PARANOID,
        (
            (
                "mov     eax, ebx\n                          mov     edx, r12d",
                "mov     edx, ebx\n                          mov     eax, r12d",
            ),
        ),
    ),
    Mutant(
        "paranoid-trusts-c-with-r8",
        "wrmsr",
        "paranoid_entry",
        PARANOID,
        (("mov     r12d, edx\n", "mov     r8d, edx\n"), ("mov     edx, r12d\n", "mov     edx, r8d\n")),
    ),
    Mutant(
        "paranoid-without-pcr",
        "gs-owner",
        "paranoid_entry",
        PARANOID,
        (
            (
                "                          wrmsr                               /* GS = the PCR;",
                "                          /* GS = the PCR;",
            ),
        ),
    ),
    Mutant(
        "fault-with-the-users-gs",
        "fault",
        "syscall_entry",
        SYSCALL,
        ((ENTRY_SWAPGS, "    mov r11, [rcx]\n" + ENTRY_SWAPGS),),
    ),
    Mutant(
        "label-at-the-wrong-iretq",
        "fault",
        "interrupt_return",
        MACROS,
        (("STEP(interrupt_return, 3)\n    iretq\n1:  iretq", "    iretq\n1:\nSTEP(interrupt_return, 3)\n    iretq"),),
    ),
    Mutant("writes-rsp0", "rsp0", "syscall_entry", SYSCALL, after(STACK, "    mov gs:[PCR_TSS_RSP0], rsp")),
]
STACKS = [
    Mutant("pushes-on-the-users-stack", "user-stack", "syscall_entry", SYSCALL, after(SCRATCH, "    push r11")),
    Mutant("never-leaves-the-users-stack", "user-stack", "syscall_entry", SYSCALL, without(STACK)),
    Mutant("reads-behind-the-stack", "user-stack", "syscall_entry", SYSCALL, after(USER_STACK, "    mov r11, [rsp]")),
    Mutant("below-rsp", "below-rsp", "syscall_entry", SYSCALL, after(STACK, "    mov [rsp - 8], rax")),
    Mutant(
        "unaligned",
        "alignment",
        "kernel_start",
        BOOT,
        (
            (
                "    xor     ebp, ebp                /* where a backtrace ends */\n    call    kernel_main",
                "    push    0\n    call    kernel_main",
            ),
        ),
    ),
    Mutant(
        "nmi-stays-on-its-stack",
        "stack",
        "interrupt_entry",
        PARANOID,
        (
            (
                "                          mov     rsp, gs:[PCR_TSS_RSP0]\n",
                "                          lea     rsp, [rsp - 192]\n",
            ),
        ),
    ),
    Mutant(
        "pops-one-too-few",
        "exit",
        "interrupt_return",
        MACROS,
        (
            (
                DROP + "    test    byte ptr [rsp + FRAME_CS - FRAME_RIP], 3",
                "    add     rsp, 8\n    test    byte ptr [rsp + FRAME_CS - FRAME_RIP + 8], 3",
            ),
        ),
    ),
]
