/* entry_macros.h: what changes between ring 3 and ring 0 besides stack and code: GS. Used by trap_entry.S
 * and syscall_entry.S.
 * SPDX-License-Identifier: MIT
 *
 * Now programs have a GS base of their own. SWAPGS exchanges it for the PCR's address, which waits in
 * IA32_KERNEL_GS_BASE while a program runs. It must happen exactly once each way, so it depends on where the
 * interrupt came from: the saved CS says the ring. */
#pragma once
/* clang-format off */
#include <kernel/pcr.h>
#include <kernel/smap.h>
#include <kernel/trap_frame.h>

/* First thing on entry; the stack holds vector, error and the CPU's frame.
 * In:   GS = USER if the saved CS is of ring 3, else the PCR. AC is the interrupted code's.
 * Out:  GS = the PCR, AC=0. No register is changed but RFLAGS, which the frame holds. */
.macro ENTER_KERNEL
    test    byte ptr [rsp + FRAME_CS - FRAME_VECTOR], 3
    jz      1f
    swapgs
    push    rax
    mov     rax, gs:[PCR_TASK_CR3]
    mov     cr3, rax
    pop     rax
1:  lfence              /* CVE-2019-1125: neither outcome may be speculated past, or a gs: load uses the wrong base */
    CLAC                /* a gate leaves AC alone, and with it set SMAP is off */
.endm

/* Last thing; the stack holds vector, error and the CPU's frame.
 * In:   GS = the PCR, IF=0.
 * Out:  the interrupted code, with GS = USER if that is ring 3. */
.macro LEAVE_KERNEL
    add     rsp, FRAME_RIP - FRAME_VECTOR   /* frame.vector, frame.error */
    test    byte ptr [rsp + FRAME_CS - FRAME_RIP], 3
    jz      1f
    push    rax
    mov     rax, gs:[PCR_PROGRAM_CR3]
    mov     cr3, rax
    pop     rax
    swapgs
STEP(interrupt_return, 3)
    iretq
1:  iretq
.endm

/* The vectors that can strike anywhere, between SYSCALL and SWAPGS too, where the saved CS says ring 0 and GS is still
 * the user's: they must not draw the conclusion above (paranoid_entry.S). */
#define IST_ENTRY      ist_entry
#define PARANOID_ENTRY paranoid_entry

/* May the system call return by SYSRET? It always does, which is a mistake: SYSRET faults in ring 0, with the user's GS
 * and on the user's stack, if RCX is no address of ring 3's, and the program chooses RCX by where its SYSCALL lies.
 * Stage 05 puts the check here.
 * In:   RSP = the struct trap_frame. */
.macro SYSRET_CHECK
.endm
