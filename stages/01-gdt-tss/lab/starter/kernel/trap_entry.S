/* trap_entry.S: into the kernel by an interrupt or exception, and out of it. The IDT's gates point here.
 * Lab 01: yours to write.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>
#include <kernel/entry_macros.h>

/* Ends the run with a message, whatever state the CPU is in: it trusts neither RSP nor DF. The message may have two
 * places for numbers, %lu or %lx, which are taken from rsi and rdx. It goes, where your code comes. */
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

/* 256 stubs of 16 bytes, one for each gate, which make every stack look the same: vector, error, the CPU's frame (the
 * drawing is in trap_frame.h). The CPU pushes an error code for some vectors and for others not: SDM 3A, "Exception and
 * Interrupt Reference". Here each pushes its vector, so that the message below can name it.
 * In:   ring 0, IF=0. From ring 3: stack = tss.rsp0 or an IST stack. From ring 0: the current stack or an IST stack. */
.macro STUB vector
    .balign 16
    push    \vector
    jmp     interrupt_entry
.endm

/* The assembler does the counting: \vector is 0, 1, ... 255. .if takes it in an expression: .if (\vector) < 32. */
.balign 16
FUNCTION(interrupt_stubs)
.irp high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
.irp low, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    STUB    (16*\high+\low)
.endr
.endr

/* Saves what the CPU has not, in the order of struct trap_frame, and calls
 *     void trap(struct trap_frame *frame)          trap.c
 * as a C function wants to be called: SDM 1, "EFLAGS Register", and the System V ABI, "The Stack Frame". When trap()
 * returns, go on at interrupt_return. PUSH_REGISTERS and POP_REGISTERS (trap_frame.h) are there for you. ENTER_KERNEL
 * and LEAVE_KERNEL (entry_macros.h) stand for what stage 03 will have to do at the border; here the first is empty, the
 * second takes vector and error from the stack and does IRETQ.
 * In:   ring 0, IF=0, the stack as the stub left it. The other registers, DF and AC are the interrupted code's: an
 *       interrupt gate clears IF, TF, NT and RF, and nothing else.
 * Out:  everything as it was, by interrupt_return. */
FUNCTION(interrupt_entry)
                          mov     rsi, [rsp]
                          mov     rdx, [rsp + 8]
    NOT_WRITTEN "lab 01: the stubs and interrupt_entry are yours to write (vector %lu; above it lies 0x%lx)"

/* In:   RSP = a struct trap_frame, IF=0.
 * Out:  the interrupted code goes on as the frame says. */
FUNCTION(interrupt_return)
    NOT_WRITTEN "lab 01: interrupt_return is yours to write"
