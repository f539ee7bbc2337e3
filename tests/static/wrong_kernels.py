# Kernels that are wrong in one line, each with the rule that must say so. The rules are those of tools/check-entry.
# Used by test_entry.py.
# SPDX-License-Identifier: MIT
from __future__ import annotations

from static.kernels import Mutant

SYSCALL = "kernel/syscall_entry.S"
TRAP = "kernel/trap_entry.S"
MACROS = "kernel/entry_macros.h"
FRAME = "kernel/trap_frame.h"
PARANOID = "kernel/paranoid_entry.S"
SWITCH = "kernel/switch.S"
BEGIN = "kernel/task_begin.S"
AP = "kernel/ap_entry.S"
BOOT = "kernel/boot.S"
COPY = "kernel/user_copy.S"

ENTRY_SWAPGS = "                          swapgs                              /* 1. GS = this CPU's PCR */\n"
EXIT_SWAPGS = ("STEP(syscall_entry, 8)    swapgs                              /* 8. GS = USER; all that can fault now is "
               "SYSRET */\n")
SCRATCH = "STEP(syscall_entry, 2)    mov     gs:[PCR_USER_RSP], rsp      /* 2. push nothing yet: the stack is the user's */\n"
STACK = ("STEP(syscall_entry, 3)    mov     rsp, gs:[PCR_TSS_RSP0]      /* 3. the same word that an interrupt from ring 3 "
         "loads */\n")
USER_STACK = "STEP(syscall_entry, 7)    mov     rsp, [rsp + FRAME_RSP - FRAME_VECTOR]\n"
FENCE = "2:  lfence              /* CVE-2019-1125: neither outcome may be speculated past, or a gs: load uses the wrong base */\n"
C_ASM = "static struct run_queue *this_queue(void) {"
SLEEP = "    task->wake_time = time;\n"


def after(line: str, added: str) -> tuple[tuple[str, str], ...]:
    return ((line, f"{line}{added}\n"),)


def without(line: str) -> tuple[tuple[str, str], ...]:
    return ((line, "\n"),)


def in_c(name: str, rule: str, instruction: str, file: str = "kernel/sched.c", behind: str = SLEEP,
         place: str = "sched_sleep_until") -> Mutant:
    """An instruction in the middle of C."""
    return Mutant(name, rule, place, file, after(behind, f'    __asm__ volatile("{instruction}" : : : "memory", "rax");'))


GS = [
    Mutant("no-swapgs-in-syscall", "gs-owner", "syscall_entry", SYSCALL, without(ENTRY_SWAPGS)),
    Mutant("no-swapgs-in-syscall-03", "gs-owner", "syscall_entry", SYSCALL, without(ENTRY_SWAPGS), "03"),
    Mutant("no-swapgs-before-sysret", "gs-exit", "syscall_entry", SYSCALL, without(EXIT_SWAPGS)),
    Mutant("swapgs-late", "gs-owner", "syscall_entry", SYSCALL, ((ENTRY_SWAPGS + SCRATCH, SCRATCH + ENTRY_SWAPGS),)),
    Mutant("no-swapgs-on-interrupt", "gs-owner", "interrupt_entry", MACROS, (("1:  swapgs\n", "1:\n"),)),
    Mutant("swapgs-on-every-interrupt", "gs-owner", "interrupt_entry", MACROS, without("    jne     2f\n")),
    Mutant("no-fix-up-of-iretq", "gs-owner", "interrupt_entry", MACROS, (("    jnz     1f\n    cmp", "    jz      2f\n    cmp"),
                                                                        ("    jne     2f\n", ""))),
    Mutant("no-swapgs-before-iretq", "gs-exit", "interrupt_return", MACROS, (("    swapgs\nSTEP", "STEP"),)),
    Mutant("swapgs-before-every-iretq", "gs-exit", "interrupt_return", MACROS,
           (("    jz      1f\n    swapgs\nSTEP", "    swapgs\nSTEP"),)),
    Mutant("nmi-asks-the-saved-cs", "gs-owner", "interrupt_entry", MACROS,
           (("IST_ENTRY      ist_entry", "IST_ENTRY      interrupt_entry"),)),
    Mutant("mc-asks-the-saved-cs", "gs-owner", "interrupt_entry", MACROS,
           (("PARANOID_ENTRY paranoid_entry", "PARANOID_ENTRY interrupt_entry"),)),
    Mutant("paranoid-keeps-the-pcr", "gs-exit", "paranoid_entry", PARANOID,
           (("                          wrmsr\n                          POP", "                          POP"),)),
    Mutant("paranoid-mixes-the-halves", "wrmsr", "paranoid_entry", PARANOID,
           (("mov     eax, ebx\n                          mov     edx, r12d",
             "mov     edx, ebx\n                          mov     eax, r12d"),)),
    Mutant("paranoid-trusts-c-with-r8", "wrmsr", "paranoid_entry", PARANOID,
           (("mov     r12d, edx\n", "mov     r8d, edx\n"), ("mov     edx, r12d\n", "mov     edx, r8d\n"))),
    Mutant("paranoid-without-pcr", "gs-owner", "paranoid_entry", PARANOID,
           (("                          wrmsr                               /* GS = the PCR;", "                          /* GS = the PCR;"),)),
    Mutant("fault-with-the-users-gs", "fault", "syscall_entry", SYSCALL,
           ((ENTRY_SWAPGS, "    mov r11, [rcx]\n" + ENTRY_SWAPGS),)),
    Mutant("label-at-the-wrong-iretq", "fault", "interrupt_return", MACROS,
           (("STEP(interrupt_return, 3)\n    iretq\n1:  iretq", "    iretq\n1:\nSTEP(interrupt_return, 3)\n    iretq"),)),
    Mutant("writes-rsp0", "rsp0", "syscall_entry", SYSCALL, after(STACK, "    mov gs:[PCR_TSS_RSP0], rsp")),
]
STACKS = [
    Mutant("pushes-on-the-users-stack", "user-stack", "syscall_entry", SYSCALL, after(SCRATCH, "    push r11")),
    Mutant("never-leaves-the-users-stack", "user-stack", "syscall_entry", SYSCALL, without(STACK)),
    Mutant("reads-behind-the-stack", "user-stack", "syscall_entry", SYSCALL, after(USER_STACK, "    mov r11, [rsp]")),
    Mutant("below-rsp", "below-rsp", "syscall_entry", SYSCALL, after(STACK, "    mov [rsp - 8], rax")),
    Mutant("unaligned", "alignment", "kernel_start", BOOT,
           (("    xor     ebp, ebp                /* where a backtrace ends */\n    call    kernel_main",
             "    push    0\n    call    kernel_main"),)),
    Mutant("nmi-stays-on-its-stack", "stack", "interrupt_entry", PARANOID,
           (("                          mov     rsp, gs:[PCR_TSS_RSP0]\n", "                          lea     rsp, [rsp - 192]\n"),)),
    Mutant("pops-one-too-few", "exit", "interrupt_return", MACROS,
           (("    add     rsp, FRAME_RIP - FRAME_VECTOR   /* frame.vector, frame.error */\n    test    byte ptr [rsp + FRAME_CS - FRAME_RIP], 3",
             "    add     rsp, 8\n    test    byte ptr [rsp + FRAME_CS - FRAME_RIP + 8], 3"),)),
]
FLAGS = [
    Mutant("no-cld-on-interrupt", "df", "interrupt_entry", TRAP,
           without("STEP(interrupt_entry, 2)  cld                                 /* invariant 3: C takes it that strings go up */\n")
           + (("PUSH_REGISTERS\nSTEP", "PUSH_REGISTERS\nSTEP(interrupt_entry, 2)\nSTEP"),)),
    Mutant("no-cld-01", "df", "interrupt_entry", TRAP,
           without("STEP(interrupt_entry, 2)  cld                                 /* invariant 3: C takes it that strings go up */\n"),
           "01"),
    Mutant("no-cld-in-paranoid", "df", "paranoid_entry", PARANOID, (("cld\n", "\n"),)),
    Mutant("no-clac-on-interrupt", "ac", "interrupt_entry", MACROS,
           (("    CLAC                /* a gate leaves AC alone, and with it set SMAP is off */\n", ""),)),
    Mutant("no-clac-in-ist", "ac", "interrupt_entry", PARANOID,
           (("                          CLAC\nSTEP(ist_entry, 2)", "STEP(ist_entry, 2)"),)),
    Mutant("no-clac-in-paranoid", "ac", "paranoid_entry", PARANOID, (("CLAC\n                          PUSH", "PUSH"),)),
    Mutant("clac-without-asking", "smap", "paranoid_entry", PARANOID, (("CLAC\n                          PUSH", "clac\n PUSH"),)),
    Mutant("no-clac-behind-the-copy", "flags", "user_copy_bytes", COPY, (("STEP(user_copy_bytes, 2)  CLAC", "STEP(user_copy_bytes, 2)"),)),
    Mutant("copy-runs-down", "df", "user_copy_bytes", COPY, (("mov     rcx, rdx\n", "mov     rcx, rdx\n std\n"),)),
    Mutant("sti-on-the-users-stack", "interrupts", "syscall_entry", SYSCALL, after(ENTRY_SWAPGS, "    sti")),
    Mutant("sti-before-the-scratch-is-read", "frame", "syscall_entry", SYSCALL, after(STACK, "    sti")),
    Mutant("no-cli-before-the-return", "interrupts", "syscall_entry", SYSCALL,
           (("cli                                 /* from the decision to return on, nothing may come in */", ""),)),
    Mutant("no-sti-in-syscall", "interrupts", "syscall_entry", SYSCALL, (("sti\n", "\n"),)),
    Mutant("thread-begins-deaf", "interrupts", "thread_begin", BEGIN, (("sti\n", "\n"),)),
    Mutant("thread-unlocks-with-sti", "interrupts", "thread_begin", BEGIN,
           (("call    switch_end\n                          sti", "sti\n    call switch_end"),)),
    Mutant("no-lfence-on-interrupt", "fence", "interrupt_entry", MACROS, ((FENCE, "2:\n"),)),
    Mutant("lfence-behind-swapgs-alone", "fence", "interrupt_entry", MACROS, (("1:  swapgs\n" + FENCE, "1:  swapgs\n    lfence\n2:\n"),)),
    Mutant("no-lfence-in-ist", "fence", "ist_entry", PARANOID,
           (("lfence                              /* CVE-2019-1125 */", ""),)),
]
FRAMES = [
    Mutant("pushes-in-another-order", "frame", "interrupt_entry", FRAME, ((".irp register, rdi, rsi,", ".irp register, rsi, rdi,"),)),
    Mutant("pops-in-another-order", "registers", "interrupt_return", FRAME, (("rdx, rsi, rdi\n    pop", "rdx, rdi, rsi\n    pop"),)),
    Mutant("result-is-lost", "frame", "syscall_entry", SYSCALL,
           (("                          mov     [rsp + FRAME_RAX], rax\n", ""),)),
    Mutant("rcx-from-the-wrong-place", "registers", "syscall_entry", SYSCALL,
           (("mov     rcx, [rsp + FRAME_RIP - FRAME_VECTOR]", "mov     rcx, [rsp + FRAME_CS - FRAME_VECTOR]"),)),
    Mutant("no-argument", "frame", "interrupt_entry", TRAP,
           (("STEP(interrupt_entry, 4)  mov     rdi, rsp                    /* the struct trap_frame */\n", "STEP(interrupt_entry, 4)\n"),)),
    Mutant("error-code-of-17-forgotten", "frame", "interrupt_stubs", TRAP, (("0x60227d00", "0x60207d00"),)),
    Mutant("vector-cut", "frame", "interrupt_stubs", TRAP, (("    push    \\vector                 ", "    push    \\vector & 127           "),)),
    Mutant("ist-mixes-two-words", "frame", "interrupt_entry", PARANOID,
           (("push    qword ptr [rdi + FRAME_CS]\n                          push    qword ptr [rdi + FRAME_RIP]",
             "push    qword ptr [rdi + FRAME_RIP]\n                          push    qword ptr [rdi + FRAME_CS]"),)),
    Mutant("returns-unasked", "exit", "syscall_entry", SYSCALL,
           (("                          call    user_return                 /* may give way to others, or end this program */\n", ""),)),
    Mutant("first-return-unasked", "exit", "interrupt_return", BEGIN, (("call    user_return\n", "\n"),)),
]
SWITCHES = [
    Mutant("keeps-rsp-too-late", "switch", "switch_stacks", SWITCH,
           (("STEP(switch_stacks, 2)    mov     [rdi], rsp                  /* now this task is only what lies on its stack */\n", ""),
            ("STEP(switch_stacks, 4)", "STEP(switch_stacks, 2) mov [rdi], rsp\nSTEP(switch_stacks, 4)"))),
    Mutant("forgets-r15", "switch", "switch_stacks", SWITCH, (("                          push    r15\n", ""),)),
    Mutant("keeps-no-flags", "switch", "switch_stacks", SWITCH, (("pushfq\n", "\n"), ("popfq  ", "\n")), "04"),
    Mutant("flags-without-df", "flags", "switch_stacks", SWITCH, (("~RFLAGS_STATUS ", "~(RFLAGS_STATUS | RFLAGS_DF) "),)),
    Mutant("flags-without-ac", "flags", "switch_stacks", SWITCH, (("~RFLAGS_STATUS ", "~(RFLAGS_STATUS | RFLAGS_AC) "),)),
    Mutant("flags-without-nt", "flags", "switch_stacks", SWITCH, (("~RFLAGS_STATUS ", "~(RFLAGS_STATUS | RFLAGS_NT) "),)),
    Mutant("claims-without-looking", "claim", "ap_start", AP, (("    jz      2f\n", ""),)),
    Mutant("claims-what-another-has", "claim", "ap_start", AP,
           (("    jne     1b                      /* it is no longer rax; now rax is what it has become */\n", ""),)),
    Mutant("caches-as-init-left-them", "cr0", "enter_long_mode", BOOT,
           (("    mov     eax, CR0_PG | CR0_WP | CR0_NE | CR0_PE  /*", "    mov     eax, cr0\n    or      eax, CR0_PG | CR0_WP | CR0_NE | CR0_PE  /*"),)),
]
FLOW = [
    Mutant("unknown-jump", "jump", "task_begin", BEGIN, (("jmp     interrupt_return", "jmp     rax"),)),
    Mutant("unlisted-call", "jump", "interrupt_entry", TRAP, (("call    trap\n", "call    schedule\n"),)),
    Mutant("runs-on", "jump", "paranoid_entry", PARANOID, (("STEP(paranoid_entry, 6)   iretq\n", "STEP(paranoid_entry, 6)   nop\n"),)),
    Mutant("jumps-into-c", "jump", "task_begin", BEGIN, (("call    user_return\n", "jmp     user_return\n"),)),
    Mutant("unknown-instruction", "unknown", "interrupt_return", TRAP, (("POP_REGISTERS\n", "POP_REGISTERS\n    bswap   rax\n"),)),
    Mutant("unreached", "unreached", "paranoid_entry", PARANOID, after("STEP(paranoid_entry, 6)   iretq\n", "    mov rax, rbx\n    ret")),
    Mutant("wrmsr-to-another", "wrmsr", "paranoid_entry", PARANOID,
           (("STEP(paranoid_entry, 2)   mov     ecx, MSR_GS_BASE", "STEP(paranoid_entry, 2)   mov     ecx, MSR_FS_BASE"),)),
    Mutant("popfq-of-its-own", "popfq", "user_copy_bytes", COPY, (("mov     rax, rcx\n", "mov     rax, rcx\n    pushfq\n    popfq\n"),)),
]
PLACES = [
    Mutant("swapgs-twice-more", "unlisted", "interrupt_entry", TRAP, (("call    trap\n", "call    trap\n    swapgs\n    swapgs\n"),)),
    Mutant("iretq-in-c", "unlisted", "sched_sleep_until", "kernel/sched.c",
           after(SLEEP, '    if (task->wake_time == 1)\n        __asm__ volatile("iretq");')),
    in_c("cli-in-c", "unlisted", "cli", "kernel/user_state.c", "    state->fs_base = rdmsr(MSR_FS_BASE);\n", "user_state_save"),
    in_c("sti-in-c", "unlisted", "sti", "kernel/user_state.c", "    state->fs_base = rdmsr(MSR_FS_BASE);\n", "user_state_save"),
    in_c("std-in-c", "unlisted", "std"), in_c("popfq-in-c", "unlisted", "pushfq; popfq"),
    in_c("wrmsr-in-c", "unlisted", "wrmsr"), in_c("cr4-in-c", "unlisted", "mov cr4, rax"),
    in_c("gs-selector-in-c", "unlisted", "mov gs, eax"), in_c("stac-in-c", "unlisted", "stac"),
    in_c("int-in-c", "unlisted", "int 0x80"), in_c("invd-in-c", "unlisted", "invd"),
    in_c("sse-in-c", "sse", "pxor xmm0, xmm0"), in_c("x87-in-c", "sse", "fninit"),
    in_c("fs-in-c", "fs", "mov rax, fs:[0x28]"), in_c("below-rsp-in-c", "below-rsp", "mov [rsp - 8], rax"),
    in_c("below-rsp-by-rbp", "below-rsp", "mov [rbp - 0x200], rax"),
    in_c("push-in-c", "stack", "push rax"),
    Mutant("no-pause-in-lock", "missing", "", "kernel/lock.h", (("        pause();", "        ;"),)),
    Mutant("no-hlt-for-the-late", "missing", "", "kernel/smp.c", (("        hlt();", "        ;"),)),
    Mutant("sti-too-early-in-idle", "idle", "sched_idle", "kernel/sched.c", (("sti; hlt", "sti; nop; hlt"),)),
]
ALL = [*GS, *STACKS, *FLAGS, *FRAMES, *SWITCHES, *FLOW, *PLACES]
