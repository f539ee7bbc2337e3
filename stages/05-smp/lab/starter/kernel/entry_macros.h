/* entry_macros.h: what changes between ring 3 and ring 0 besides stack and code: GS. Used by trap_entry.S
 * and syscall_entry.S.
 * SPDX-License-Identifier: MIT
 *
 * Now programs have a GS base of their own. SWAPGS exchanges it for the PCR's address, which waits in
 * IA32_KERNEL_GS_BASE while a program runs. It must happen exactly once each way, so it depends on where the
 * interrupt came from: the saved CS says the ring.
 *
 * With one exception, new in stage 05: the IRETQ that leads to ring 3 can itself fault, in ring 0 and behind its
 * SWAPGS. user_return() lets no program get there; this is the second line of defence. */
#pragma once
/* clang-format off */
#include <kernel/smap.h>
#include <kernel/trap_frame.h>
#include <kernel/x86.h>

/* First thing on entry; the stack holds vector, error and the CPU's frame.
 * Lab 05, part 4: the second case of In: is yours to write; this is stage 03's macro.
 * In:   GS = USER if the saved CS is of ring 3 or the saved RIP is that IRETQ, else the PCR. AC is the
 *       interrupted code's.
 * Out:  GS = the PCR, AC=0. No register is changed but RFLAGS, which the frame holds. */
.macro ENTER_KERNEL
    test    byte ptr [rsp + FRAME_CS - FRAME_VECTOR], 3
    jz      1f
    swapgs
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
    swapgs
STEP(interrupt_return, 3)
    iretq
1:  iretq
.endm

/* The vectors that can strike anywhere, between SYSCALL and SWAPGS too, where the saved CS says ring 0 and GS is still
 * the user's: they must not draw the conclusion above (paranoid_entry.S). */
#define IST_ENTRY      ist_entry
#define PARANOID_ENTRY paranoid_entry

/* May the system call return by SYSRET? user_return() has made sure that RIP is an address of ring 3's; what is left is
 * TF, and that is lab 05, part 3. SYSRET traps before the program's next instruction, IRET after it, so that a program that single-steps itself
 * would not get on by SYSRET. RF, which SYSRET cannot restore either, no program's frame has.
 * In:   RSP = the struct trap_frame.     Out: goes on, or leaves by interrupt_return: it is the same frame. */
.macro SYSRET_CHECK
    /* yours to write */
.endm
