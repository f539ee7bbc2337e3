/* iretq.S: leaves the kernel by a frame of the test's choice, and comes back when that fails (iretq.c).
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>
#include <kernel/trap_frame.h>

.text

/* void leave_by(struct trap_frame *frame)
 *
 * In:   a frame whose iretq faults; the handler of the fault goes on at leave_by_failed with RSP = leave_by_rsp.
 * Out:  returns then. */
FUNCTION(leave_by)
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    mov     [leave_by_rsp], rsp
    sub     rsp, FRAME_SIZE         /* the fault pushes its own frame where this one is read from */
    mov     rsi, rdi
    mov     rdi, rsp
    mov     ecx, FRAME_SIZE / 8
    rep movsq
    mov     rdi, rsp
    mov     rsp, rdi
    jmp     interrupt_return
.globl leave_by_failed
leave_by_failed:
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret

.bss
.balign 8
.globl leave_by_rsp
leave_by_rsp:
    .skip 8
.section .note.GNU-stack, "", @progbits
