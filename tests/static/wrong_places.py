# Kernels in which the switch is wrong, or an instruction stands where it may not.
# Put together in wrong_kernels.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from static.kernels import Mutant
from static.lines import AP, BEGIN, BOOT, COPY, PARANOID, SLEEP, SWITCH, TRAP, after, in_c

SWITCHES = [
    Mutant(
        "keeps-rsp-too-late",
        "switch",
        "switch_stacks",
        SWITCH,
        (
            (
                "STEP(switch_stacks, 2)    mov     [rdi], rsp                  /* now this task is only what lies on "
                "its stack */\n",
                "",
            ),
            ("STEP(switch_stacks, 4)", "STEP(switch_stacks, 2) mov [rdi], rsp\nSTEP(switch_stacks, 4)"),
        ),
    ),
    Mutant("forgets-r15", "switch", "switch_stacks", SWITCH, (("                          push    r15\n", ""),)),
    Mutant("keeps-no-flags", "switch", "switch_stacks", SWITCH, (("pushfq\n", "\n"), ("popfq  ", "\n")), "04"),
    Mutant(
        "flags-without-df", "flags", "switch_stacks", SWITCH, (("~RFLAGS_STATUS ", "~(RFLAGS_STATUS | RFLAGS_DF) "),)
    ),
    Mutant(
        "flags-without-ac", "flags", "switch_stacks", SWITCH, (("~RFLAGS_STATUS ", "~(RFLAGS_STATUS | RFLAGS_AC) "),)
    ),
    Mutant(
        "flags-without-nt", "flags", "switch_stacks", SWITCH, (("~RFLAGS_STATUS ", "~(RFLAGS_STATUS | RFLAGS_NT) "),)
    ),
    Mutant("claims-without-looking", "claim", "ap_start", AP, (("    jz      2f\n", ""),)),
    Mutant(
        "claims-what-another-has",
        "claim",
        "ap_start",
        AP,
        (("    jne     1b                      /* it is no longer rax; now rax is what it has become */\n", ""),),
    ),
    Mutant(
        "caches-as-init-left-them",
        "cr0",
        "enter_long_mode",
        BOOT,
        (
            (
                "    mov     eax, CR0_PG | CR0_WP | CR0_NE | CR0_PE  /*",
                "    mov     eax, cr0\n    or      eax, CR0_PG | CR0_WP | CR0_NE | CR0_PE  /*",
            ),
        ),
    ),
]
FLOW = [
    Mutant("unknown-jump", "jump", "task_begin", BEGIN, (("jmp     interrupt_return", "jmp     rax"),)),
    Mutant("unlisted-call", "jump", "interrupt_entry", TRAP, (("call    trap\n", "call    schedule\n"),)),
    Mutant(
        "runs-on",
        "jump",
        "paranoid_entry",
        PARANOID,
        (("STEP(paranoid_entry, 6)   iretq\n", "STEP(paranoid_entry, 6)   nop\n"),),
    ),
    Mutant("jumps-into-c", "jump", "task_begin", BEGIN, (("call    user_return\n", "jmp     user_return\n"),)),
    Mutant(
        "unknown-instruction",
        "unknown",
        "interrupt_return",
        TRAP,
        (("POP_REGISTERS\n", "POP_REGISTERS\n    bswap   rax\n"),),
    ),
    Mutant(
        "unreached",
        "unreached",
        "paranoid_entry",
        PARANOID,
        after("STEP(paranoid_entry, 6)   iretq\n", "    mov rax, rbx\n    ret"),
    ),
    Mutant(
        "wrmsr-to-another",
        "wrmsr",
        "paranoid_entry",
        PARANOID,
        (("STEP(paranoid_entry, 2)   mov     ecx, MSR_GS_BASE", "STEP(paranoid_entry, 2)   mov     ecx, MSR_FS_BASE"),),
    ),
    Mutant(
        "popfq-of-its-own",
        "popfq",
        "user_copy_bytes",
        COPY,
        (("mov     rax, rcx\n", "mov     rax, rcx\n    pushfq\n    popfq\n"),),
    ),
]
PLACES = [
    Mutant(
        "swapgs-twice-more",
        "unlisted",
        "interrupt_entry",
        TRAP,
        (("call    trap\n", "call    trap\n    swapgs\n    swapgs\n"),),
    ),
    Mutant(
        "iretq-in-c",
        "unlisted",
        "sched_sleep_until",
        "kernel/sched.c",
        after(SLEEP, '    if (task->wake_time == 1)\n        __asm__ volatile("iretq");'),
    ),
    in_c(
        "cli-in-c",
        "unlisted",
        "cli",
        "kernel/user_state.c",
        "    state->fs_base = rdmsr(MSR_FS_BASE);\n",
        "user_state_save",
    ),
    in_c(
        "sti-in-c",
        "unlisted",
        "sti",
        "kernel/user_state.c",
        "    state->fs_base = rdmsr(MSR_FS_BASE);\n",
        "user_state_save",
    ),
    in_c("std-in-c", "unlisted", "std"),
    in_c("popfq-in-c", "unlisted", "pushfq; popfq"),
    in_c("wrmsr-in-c", "unlisted", "wrmsr"),
    in_c("cr4-in-c", "unlisted", "mov cr4, rax"),
    in_c("gs-selector-in-c", "unlisted", "mov gs, eax"),
    in_c("stac-in-c", "unlisted", "stac"),
    in_c("int-in-c", "unlisted", "int 0x80"),
    in_c("invd-in-c", "unlisted", "invd"),
    in_c("sse-in-c", "sse", "pxor xmm0, xmm0"),
    in_c("x87-in-c", "sse", "fninit"),
    in_c("fs-in-c", "fs", "mov rax, fs:[0x28]"),
    in_c("below-rsp-in-c", "below-rsp", "mov [rsp - 8], rax"),
    in_c("below-rsp-by-rbp", "below-rsp", "mov [rbp - 0x200], rax"),
    in_c("push-in-c", "stack", "push rax"),
    Mutant("no-pause-in-lock", "missing", "", "kernel/lock.h", (("        pause();", "        ;"),)),
    Mutant("no-hlt-for-the-late", "missing", "", "kernel/smp.c", (("        hlt();", "        ;"),)),
    Mutant("sti-too-early-in-idle", "idle", "sched_idle", "kernel/sched.c", (("sti; hlt", "sti; nop; hlt"),)),
]
