# Lines of the kernel that the wrong kernels change, and ways to change one.
# Used by wrong_entries.py, wrong_flags.py and wrong_places.py.
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
EXIT_SWAPGS = (
    "STEP(syscall_entry, 8)    swapgs                              /* 8. GS = USER; all that can fault now is "
    "SYSRET */\n"
)
SCRATCH = (
    "STEP(syscall_entry, 2)    mov     gs:[PCR_USER_RSP], rsp      /* 2. push nothing yet: the stack is the "
    "user's */\n"
)
STACK = (
    "STEP(syscall_entry, 3)    mov     rsp, gs:[PCR_TSS_RSP0]      /* 3. the same word that an interrupt from ring 3 "
    "loads */\n"
)
USER_STACK = "STEP(syscall_entry, 7)    mov     rsp, [rsp + FRAME_RSP - FRAME_VECTOR]\n"
FENCE = (
    "2:  lfence              /* CVE-2019-1125: neither outcome may be speculated past, or a gs: load uses the wrong "
    "base */\n"
)
CLD = "STEP(interrupt_entry, 2)  cld                                 /* invariant 3: C takes it that strings go up */\n"
DROP = "    add     rsp, FRAME_RIP - FRAME_VECTOR   /* frame.vector, frame.error */\n"
C_ASM = "static struct run_queue *this_queue(void) {"
SLEEP = "    task->wake_time = time;\n"


def after(line: str, added: str) -> tuple[tuple[str, str], ...]:
    return ((line, f"{line}{added}\n"),)


def without(line: str) -> tuple[tuple[str, str], ...]:
    return ((line, "\n"),)


def in_c(
    name: str,
    rule: str,
    instruction: str,
    file: str = "kernel/sched.c",
    behind: str = SLEEP,
    place: str = "sched_sleep_until",
) -> Mutant:
    """An instruction in the middle of C."""
    return Mutant(
        name, rule, place, file, after(behind, f'    __asm__ volatile("{instruction}" : : : "memory", "rax");')
    )
