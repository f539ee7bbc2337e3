# Kernels in which a flag, or a word of the trap frame, is wrong.
# Put together in wrong_kernels.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from static.kernels import Mutant
from static.lines import (
    BEGIN, CLD, COPY, ENTRY_SWAPGS, FENCE, FRAME, MACROS, PARANOID, STACK, SYSCALL, TRAP, after, without)

FLAGS = [
    Mutant(
        "no-cld-on-interrupt",
        "df",
        "interrupt_entry",
        TRAP,
        without(CLD) + (("PUSH_REGISTERS\nSTEP", "PUSH_REGISTERS\nSTEP(interrupt_entry, 2)\nSTEP"),),
    ),
    Mutant("no-cld-01", "df", "interrupt_entry", TRAP, without(CLD), "01"),
    Mutant("no-cld-in-paranoid", "df", "paranoid_entry", PARANOID, (("cld\n", "\n"),)),
    Mutant(
        "no-clac-on-interrupt",
        "ac",
        "interrupt_entry",
        MACROS,
        (("    CLAC                /* a gate leaves AC alone, and with it set SMAP is off */\n", ""),),
    ),
    Mutant(
        "no-clac-in-ist",
        "ac",
        "interrupt_entry",
        PARANOID,
        (("                          CLAC\nSTEP(ist_entry, 2)", "STEP(ist_entry, 2)"),),
    ),
    Mutant(
        "no-clac-in-paranoid", "ac", "paranoid_entry", PARANOID, (("CLAC\n                          PUSH", "PUSH"),)
    ),
    Mutant(
        "clac-without-asking",
        "smap",
        "paranoid_entry",
        PARANOID,
        (("CLAC\n                          PUSH", "clac\n PUSH"),),
    ),
    Mutant(
        "no-clac-behind-the-copy",
        "flags",
        "user_copy_bytes",
        COPY,
        (("STEP(user_copy_bytes, 2)  CLAC", "STEP(user_copy_bytes, 2)"),),
    ),
    Mutant("copy-runs-down", "df", "user_copy_bytes", COPY, (("mov     rcx, rdx\n", "mov     rcx, rdx\n std\n"),)),
    Mutant("sti-on-the-users-stack", "interrupts", "syscall_entry", SYSCALL, after(ENTRY_SWAPGS, "    sti")),
    Mutant("sti-before-the-scratch-is-read", "frame", "syscall_entry", SYSCALL, after(STACK, "    sti")),
    Mutant(
        "no-cli-before-the-return",
        "interrupts",
        "syscall_entry",
        SYSCALL,
        (("cli                                 /* from the decision to return on, nothing may come in */", ""),),
    ),
    Mutant("no-sti-in-syscall", "interrupts", "syscall_entry", SYSCALL, (("sti\n", "\n"),)),
    Mutant("thread-begins-deaf", "interrupts", "thread_begin", BEGIN, (("sti\n", "\n"),)),
    Mutant(
        "thread-unlocks-with-sti",
        "interrupts",
        "thread_begin",
        BEGIN,
        (("call    switch_end\n                          sti", "sti\n    call switch_end"),),
    ),
    Mutant("no-lfence-on-interrupt", "fence", "interrupt_entry", MACROS, ((FENCE, "2:\n"),)),
    Mutant(
        "lfence-behind-swapgs-alone",
        "fence",
        "interrupt_entry",
        MACROS,
        (("1:  swapgs\n" + FENCE, "1:  swapgs\n    lfence\n2:\n"),),
    ),
    Mutant(
        "no-lfence-in-ist",
        "fence",
        "ist_entry",
        PARANOID,
        (("lfence                              /* CVE-2019-1125 */", ""),),
    ),
]
FRAMES = [
    Mutant(
        "pushes-in-another-order",
        "frame",
        "interrupt_entry",
        FRAME,
        ((".irp register, rdi, rsi,", ".irp register, rsi, rdi,"),),
    ),
    Mutant(
        "pops-in-another-order",
        "registers",
        "interrupt_return",
        FRAME,
        (("rdx, rsi, rdi\n    pop", "rdx, rdi, rsi\n    pop"),),
    ),
    Mutant(
        "result-is-lost",
        "frame",
        "syscall_entry",
        SYSCALL,
        (("                          mov     [rsp + FRAME_RAX], rax\n", ""),),
    ),
    Mutant(
        "rcx-from-the-wrong-place",
        "registers",
        "syscall_entry",
        SYSCALL,
        (("mov     rcx, [rsp + FRAME_RIP - FRAME_VECTOR]", "mov     rcx, [rsp + FRAME_CS - FRAME_VECTOR]"),),
    ),
    Mutant(
        "no-argument",
        "frame",
        "interrupt_entry",
        TRAP,
        (
            (
                "STEP(interrupt_entry, 4)  mov     rdi, rsp                    /* the struct trap_frame */\n",
                "STEP(interrupt_entry, 4)\n",
            ),
        ),
    ),
    Mutant("error-code-of-17-forgotten", "frame", "interrupt_stubs", TRAP, (("0x60227d00", "0x60207d00"),)),
    Mutant(
        "vector-cut",
        "frame",
        "interrupt_stubs",
        TRAP,
        (("    push    \\vector                 ", "    push    \\vector & 127           "),),
    ),
    Mutant(
        "ist-mixes-two-words",
        "frame",
        "interrupt_entry",
        PARANOID,
        (
            (
                "push    qword ptr [rdi + FRAME_CS]\n                          push    qword ptr [rdi + FRAME_RIP]",
                "push    qword ptr [rdi + FRAME_RIP]\n                          push    qword ptr [rdi + FRAME_CS]",
            ),
        ),
    ),
    Mutant(
        "returns-unasked",
        "exit",
        "syscall_entry",
        SYSCALL,
        (
            (
                "                          call    user_return                 /* may give way to others, or end this "
                "program */\n",
                "",
            ),
        ),
    ),
    Mutant("first-return-unasked", "exit", "interrupt_return", BEGIN, (("call    user_return\n", "\n"),)),
]
