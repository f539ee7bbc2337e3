/* other_forms.S: other ways to write stage 05's switch.S, to see what its own way costs. One of PUSH_AGAIN,
 * JUMP_AWAY and EQUAL_STATUS is defined.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>
#include <kernel/x86.h>

/* void switch_stacks(uint64_t *save_rsp, uint64_t load_rsp)
 *
 * In:   rdi = where to keep this stack's RSP, rsi = the other one's RSP.
 * Out:  returns on the other stack.
 * Kept: rbx, rbp, r12-r15, RFLAGS but for what arithmetic leaves. */
FUNCTION(switch_stacks)
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
#ifdef EQUAL_STATUS             /* a comparison with itself leaves the same on every stack: compare whole words */
    cmp     rsp, rsp
#endif
    pushfq
    mov     rax, [rsp]
    mov     [rdi], rsp
    mov     rsp, rsi
#if defined(PUSH_AGAIN)         /* the flags leave the stack, and are pushed again where they are wanted */
    pop     rdx
    xor     rax, rdx
    test    rax, ~RFLAGS_STATUS
    jz      1f
    push    rdx
    popfq
1:
#elif defined(JUMP_AWAY)        /* the rare case lies behind the end, so the other one takes no jump */
    xor     rax, [rsp]
    test    rax, ~RFLAGS_STATUS
    jnz     2f
    add     rsp, 8
1:
#elif defined(EQUAL_STATUS)
    cmp     rax, [rsp]
    je      1f
    popfq
    jmp     2f
1:  add     rsp, 8
2:
#endif
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret
#ifdef JUMP_AWAY
2:  popfq
    jmp     1b
#endif
