/* plain.S: the least that a switch between two stacks does in C: what the others are compared with.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>

/* void switch_stacks(uint64_t *save_rsp, uint64_t load_rsp)
 *
 * In:   rdi = where to keep this stack's RSP, rsi = the other one's RSP.
 * Out:  returns on the other stack.
 * Kept: rbx, rbp, r12-r15; not RFLAGS. */
FUNCTION(switch_stacks)
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    mov     [rdi], rsp
    mov     rsp, rsi
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret
