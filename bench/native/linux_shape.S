/* linux_shape.S: a switch of the shape of Linux' __switch_to_asm() on x86-64: written for the comparison, no code of
 * Linux. The canary against overflows lies at one address, which each task fills with its own; the last step is a jump
 * to a function in C, which returns in the caller's place. With FILL_RETURNS it fills the return predictor as well, as
 * Linux does on CPUs that could else be led astray by what the last task left there.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>

#define TASK_RSP    0
#define TASK_CANARY 8
#define RETURNS     32 /* entries of the return predictor */

/* void switch_stacks(struct linux_task *previous, struct linux_task *next)
 *
 * In:   rdi, rsi = the two tasks.
 * Out:  linux_switch_to() returns on the other stack.
 * Kept: rbx, rbp, r12-r15; not RFLAGS. */
FUNCTION(switch_stacks)
    push    rbp
    push    rbx
    push    r12
    push    r13
    push    r14
    push    r15
    mov     [rdi + TASK_RSP], rsp
    mov     rsp, [rsi + TASK_RSP]
    mov     rbx, [rsi + TASK_CANARY]
    mov     linux_canary[rip], rbx
#ifdef FILL_RETURNS
    .rept   RETURNS
    call    2f
1:  pause                       /* only speculation comes here */
    lfence
    jmp     1b
2:
    .endr
    add     rsp, RETURNS * 8
    lfence
#endif
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbx
    pop     rbp
    jmp     linux_switch_to
