/* syscall_entry.S: from ring 3 by SYSCALL, and back by SYSRET. IA32_LSTAR points here.
 * Lab 03: yours to write.
 * SPDX-License-Identifier: MIT
 *
 * Hardware comes here with nothing prepared: no kernel stack, no kernel GS, no free register. The order of the first
 * three instructions is the whole lesson.
 * Sources: SDM 2B, "SYSCALL - Fast System Call" and "SYSRET - Return From Fast System Call".
 *
 * What is there for you:
 *   gs:[PCR_USER_RSP]   (pcr.h)         8 bytes of this CPU, for the few instructions without a stack
 *   gs:[PCR_TSS_RSP0]   (pcr.h)         the top of this task's kernel stack
 *   SEL_USER_DATA, SEL_USER_CODE        (gdt.h)
 *   FRAME_..., VECTOR_SYSCALL, PUSH_REGISTERS, POP_REGISTERS, and the drawing of the frame (trap_frame.h)
 *   long syscall_dispatch(struct trap_frame *frame)     does the work, with interrupts on; gives the program's rax
 *   void user_return(struct trap_frame *frame)          interrupts off from before it until the program runs;
 *                                                       the frame's rax is the result by then. It may change the
 *                                                       frame, and may not come back */
#include <kernel/asm.h>
#include <kernel/entry_macros.h>
#include <kernel/gdt.h>
#include <kernel/pcr.h>
#include <kernel/syscall.h>

/* In:   ring 0, GS = USER, RSP = USER, rcx = user RIP, r11 = user RFLAGS, rax = number, rdi rsi rdx r10 r8 r9 =
 *       arguments. RFLAGS is masked by SFMASK.
 * Out:  ring 3, everything as before but rax = the result, rcx = RIP, r11 = RFLAGS. */
FUNCTION(syscall_entry)
                          NOT_WRITTEN "lab 03: syscall_entry is yours to write"

/* Where IA32_CSTAR points: SYSCALL from 32-bit code, which only AMD's CPUs have. Ring 3 has no 32-bit segment here, so
 * nobody comes. Two instructions are enough. (SYSRETL is .byte 0x0f, 0x07; gas and clang differ in its name.)
 * In:   ring 0, GS = USER, RSP = USER, ecx = user EIP, r11 = user RFLAGS.     Out: ring 3, eax = -ENOSYS. */
FUNCTION(syscall32_entry)
                          NOT_WRITTEN "lab 03: syscall32_entry is yours to write"
