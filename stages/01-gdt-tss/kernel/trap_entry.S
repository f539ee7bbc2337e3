/* trap_entry.S: into the kernel by an interrupt or exception, and out of it. The IDT's gates point here.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>
#include <kernel/entry_macros.h>

/* The vectors for which the CPU pushes an error code: 8, 10-14, 17, 21, 29, 30.
 * Source: SDM 3A, "Exception and Interrupt Reference". */
#define ERROR_CODE_VECTORS 0x60227d00

/* 256 stubs of 16 bytes, one for each gate, which make every stack look the same: vector, error, the CPU's frame.
 * In:   ring 0, IF=0. From ring 3: stack = tss.rsp0 or an IST stack. From ring 0: the current stack or an IST stack. */
.macro STUB vector
    .balign 16
    .ifeq (ERROR_CODE_VECTORS >> ((\vector) & 31)) & 1 & ((\vector) < 32)
    push    0                       /* frame.error */
    .endif
    push    \vector                 /* frame.vector */
    .if ((\vector) == 1) | ((\vector) == 2)
    jmp     IST_ENTRY
    .elseif ((\vector) == 8) | ((\vector) == 18)
    jmp     PARANOID_ENTRY
    .else
    jmp     interrupt_entry
    .endif
.endm

.balign 16
FUNCTION(interrupt_stubs)
.irp high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
.irp low, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    STUB    (16*\high+\low)
.endr
.endr

/* In:   ring 0, IF=0, the stack as the stub left it, GS = whoever's was interrupted. The other registers, DF and AC are
 *       the interrupted code's: an interrupt gate clears IF, TF, NT and RF, and nothing else.
 * Out:  everything as it was, by interrupt_return. */
FUNCTION(interrupt_entry)
                          ENTER_KERNEL
STEP(interrupt_entry, 2)  cld                                 /* invariant 3: C takes it that strings go up */
STEP(interrupt_entry, 3)  PUSH_REGISTERS
STEP(interrupt_entry, 4)  mov     rdi, rsp                    /* the struct trap_frame */
                          call    trap
                          /* falls through */

/* In:   RSP = a struct trap_frame, IF=0.
 * Out:  the interrupted code goes on as the frame says. */
FUNCTION(interrupt_return)
                          POP_REGISTERS
STEP(interrupt_return, 2) LEAVE_KERNEL
