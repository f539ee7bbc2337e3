/* syscall_entry.S: from ring 3 by SYSCALL, and back by SYSRET. IA32_LSTAR points here.
 * SPDX-License-Identifier: MIT
 *
 * Hardware comes here with nothing prepared: no kernel stack, no kernel GS, no free register. The order of the first
 * three instructions is the whole lesson.
 * Sources: SDM 2B, "SYSCALL - Fast System Call" and "SYSRET - Return From Fast System Call". */
#include <kernel/asm.h>
#include <kernel/entry_macros.h>
#include <kernel/gdt.h>
#include <kernel/pcr.h>
#include <kernel/syscall.h>

/* In:   ring 0, GS = USER, RSP = USER, rcx = user RIP, r11 = user RFLAGS, rax = number, rdi rsi rdx r10 r8 r9 =
 *       arguments. RFLAGS is masked by SFMASK: IF, DF, TF, AC, NT are 0, so only an NMI, a #MC or a #DB can come in
 *       between.
 * Out:  ring 3, everything as before but rax = the result, rcx = RIP, r11 = RFLAGS. */
FUNCTION(fast_door)
                          swapgs                              /* 1. GS = this CPU's PCR */
STEP(fast_door, 2)    mov     gs:[PCR_USER_RSP], rsp      /* 2. push nothing yet: the stack is the user's */
STEP(fast_door, 3)    mov     rsp, gs:[PCR_TSS_RSP0]      /* 3. the same word that an interrupt from ring 3 loads */

                          /* 4. the frame that an interrupt would have pushed */
STEP(fast_door, 4)    push    SEL_USER_DATA               /* frame.ss */
                          push    qword ptr gs:[PCR_USER_RSP] /* frame.rsp; the scratch is free again from here on */
                          push    r11                         /* frame.rflags */
                          push    SEL_USER_CODE               /* frame.cs */
                          push    rcx                         /* frame.rip */
                          push    0                           /* frame.error */
                          push    VECTOR_SYSCALL              /* frame.vector */
                          PUSH_REGISTERS

                          /* 5. C, with a whole frame, and with interrupts on */
STEP(fast_door, 5)    mov     rdi, rsp
                          sti
                          call    syscall_dispatch
                          cli                                 /* from the decision to return on, nothing may come in */
                          mov     [rsp + FRAME_RAX], rax
                          mov     rdi, rsp
                          call    user_return                 /* may give way to others, or end this program */

                          /* 6. back, as the frame says: the kernel may have changed it */
STEP(fast_door, 6)    SYSRET_CHECK
                          POP_REGISTERS
                          mov     rcx, [rsp + FRAME_RIP - FRAME_VECTOR]
                          mov     r11, [rsp + FRAME_RFLAGS - FRAME_VECTOR]
                          /* 7. from here on only an NMI or #MC can come: the stack is the user's again */
STEP(fast_door, 7)    mov     rsp, [rsp + FRAME_RSP - FRAME_VECTOR]
STEP(fast_door, 8)    swapgs                              /* 8. GS = USER; all that can fault now is SYSRET */
STEP(fast_door, 9)    sysretq

/* Where IA32_CSTAR points: SYSCALL from 32-bit code, which only AMD's CPUs have. Ring 3 has no 32-bit segment here, so
 * nobody comes; but an address of 0 would be ring 0 executing a program's page.
 * In:   ring 0, GS = USER, RSP = USER, ecx = user EIP, r11 = user RFLAGS.     Out: ring 3, eax = -ENOSYS. */
FUNCTION(side_door)
                          mov     eax, -ENOSYS
                          .byte   0x0f, 0x07                  /* SYSRETL; gas and clang differ in its name */
