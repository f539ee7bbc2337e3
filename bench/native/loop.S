/* loop.S: the loops that switch, and a switch that is looked at.
 * SPDX-License-Identifier: MIT
 *
 * All that are to be compared are called from the same loop, each from its own copy of it, as a kernel calls its one
 * switch: by name and from one place. So a CPU that predicts returns is right about all of them. */
#include <kernel/asm.h>

/* void FUNCTION_many(void *save, const uint64_t *load, uint64_t count, uint64_t flags)
 *
 * In:   rdi = first argument of each switch, rsi = where the second one is read from each time, rdx = how often,
 *       rcx = flags to set meanwhile.
 * Kept: rbx, rbp, r12 and RFLAGS. */
.macro LOOP function
FUNCTION(\function\()_many)
    push    rbx
    push    rbp
    push    r12
    sub     rsp, 8              /* the ABI wants 16 bytes at a call */
    pushfq
    mov     rbx, rdi
    mov     rbp, rsi
    mov     r12, rdx
    pushfq
    or      [rsp], rcx
    popfq
    .balign 64
1:  mov     rdi, rbx
    mov     rsi, [rbp]
    call    \function
    dec     r12
    jnz     1b
    popfq
    add     rsp, 8
    pop     r12
    pop     rbp
    pop     rbx
    ret
.endm
LOOP plain_switch_stacks
LOOP stage_04_switch_stacks
LOOP stage_05_switch_stacks
LOOP push_again_switch_stacks
LOOP jump_away_switch_stacks
LOOP equal_status_switch_stacks
LOOP linux_shape_switch_stacks
LOOP linux_shape_rsb_switch_stacks
LOOP redox_shape_switch_stacks
LOOP swapcontext
LOOP call_only

/* Nothing but a call and its return: what the loop takes without a switch. */
    .balign 64
FUNCTION(call_only)
    ret

/* void *jump_fcontext_many(void *context, uint64_t count)
 *
 * The same loop for Boost's function, which keeps the stack's place nowhere, but returns it to whom it goes to.
 * In:   rdi = the context to go to, rsi = how often.
 * Out:  rax = the context from which the last one came back.
 * Kept: r12. */
#ifdef BOOST
FUNCTION(jump_fcontext_many)
    push    r12
    mov     rax, rdi
    mov     r12, rsi
    .balign 64
1:  mov     rdi, rax
    xor     esi, esi            /* no data for it */
    call    jump_fcontext
    dec     r12
    jnz     1b
    pop     r12
    ret
#endif

/* void switch_checked(void *save, uint64_t load, switch_function *how, struct values *values)
 *
 * In:   rdi, rsi = the arguments of the switch, rdx = the function, rcx = the values to go there with.
 * Out:  the values that are there when it comes back.
 * Kept: rbx, rbp, r12-r15 and RFLAGS. */
#define VALUES_RBX    0
#define VALUES_RBP    8
#define VALUES_R12    16
#define VALUES_R13    24
#define VALUES_R14    32
#define VALUES_R15    40
#define VALUES_RFLAGS 48
FUNCTION(switch_checked)
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    push    rcx
    pushfq
    sub     rsp, 8              /* 16 bytes once more */
    push    [rcx + VALUES_RFLAGS]
    mov     rbx, [rcx + VALUES_RBX]
    mov     rbp, [rcx + VALUES_RBP]
    mov     r12, [rcx + VALUES_R12]
    mov     r13, [rcx + VALUES_R13]
    mov     r14, [rcx + VALUES_R14]
    mov     r15, [rcx + VALUES_R15]
    popfq
    call    rdx
    pushfq
    pop     rax
    add     rsp, 8
    popfq
    pop     rcx
    mov     [rcx + VALUES_RBX], rbx
    mov     [rcx + VALUES_RBP], rbp
    mov     [rcx + VALUES_R12], r12
    mov     [rcx + VALUES_R13], r13
    mov     [rcx + VALUES_R14], r14
    mov     [rcx + VALUES_R15], r15
    mov     [rcx + VALUES_RFLAGS], rax
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret
