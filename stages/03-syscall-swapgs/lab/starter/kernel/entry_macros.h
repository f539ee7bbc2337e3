/* entry_macros.h: what changes between ring 3 and ring 0 besides stack and code: GS. Used by trap_entry.S
 * and syscall_entry.S. Lab 03: the two macros in the middle are yours to write.
 * SPDX-License-Identifier: MIT
 *
 * Now programs have a GS base of their own. SWAPGS exchanges it for the PCR's address, which waits in
 * IA32_KERNEL_GS_BASE while a program runs. It must happen exactly once each way. */
#pragma once
/* clang-format off */
#include <kernel/smap.h>
#include <kernel/trap_frame.h>

/* Ends the run with a message, whatever state the CPU is in: it trusts neither RSP nor GS nor DF. The message may have
 * two places for numbers, %lu or %lx, which are taken from rsi and rdx. It goes, where your code comes. */
.macro NOT_WRITTEN message
    .comm   not_written_stack, 8192, 16
    cld
    lea     rsp, [rip + not_written_stack + 8192]
    xor     ebp, ebp                        /* no caller: the backtrace ends here */
    lea     rdi, [rip + 780f]
    xor     eax, eax
    call    panic_begin
    mov     rdi, rax
    xor     esi, esi
    call    panic_end
780:
    .asciz  "\message"
.endm

/* The same for an entry whose stack holds vector, error and the CPU's frame: it says what has struck, and where. */
.macro NOT_WRITTEN_TRAP name
    mov     rsi, [rsp]
    mov     rdx, [rsp + FRAME_RIP - FRAME_VECTOR]
    NOT_WRITTEN "lab 03: \name is yours to write (here because of vector %lu at 0x%lx)"
.endm

/* First thing on entry; the stack holds vector, error and the CPU's frame.
 * In:   GS = USER if the saved CS is of ring 3, else the PCR. AC is the interrupted code's.
 * Out:  GS = the PCR, AC=0. No register is changed but RFLAGS, which the frame holds. */
.macro ENTER_KERNEL
    NOT_WRITTEN_TRAP "ENTER_KERNEL (entry_macros.h)"
.endm

/* Last thing; the stack holds vector, error and the CPU's frame. Also the way to a program's first instruction.
 * In:   GS = the PCR, IF=0.
 * Out:  the interrupted code, with GS = USER if that is ring 3. */
.macro LEAVE_KERNEL
    NOT_WRITTEN "lab 03: LEAVE_KERNEL (entry_macros.h) is yours to write"
.endm

/* The vectors that can strike anywhere, between SYSCALL and SWAPGS too, where the saved CS says ring 0 and GS is still
 * the user's: they must not draw the conclusion that ENTER_KERNEL draws (paranoid_entry.S). */
#define IST_ENTRY      ist_entry
#define PARANOID_ENTRY paranoid_entry

/* May the system call return by SYSRET? Until stage 05 it always does. Nothing to write here.
 * In:   RSP = the struct trap_frame. */
.macro SYSRET_CHECK
.endm
