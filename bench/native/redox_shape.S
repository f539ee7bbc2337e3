/* redox_shape.S: a switch of the shape of Redox' switch_to() on x86-64: written for the comparison, no code of Redox.
 * The registers go into a structure and not on the stack, RFLAGS as well; the last step is a jump to a function, which
 * returns in the caller's place.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>

#define SAVED_RFLAGS 0
#define SAVED_RBX    8
#define SAVED_R12    16
#define SAVED_R13    24
#define SAVED_R14    32
#define SAVED_R15    40
#define SAVED_RBP    48
#define SAVED_RSP    56

/* void switch_stacks(struct redox_saved *previous, struct redox_saved *next)
 *
 * In:   rdi, rsi = the two structures.
 * Out:  redox_switched() returns on the other stack.
 * Kept: rbx, rbp, r12-r15, RFLAGS. */
FUNCTION(switch_stacks)
    mov     [rdi + SAVED_RBX], rbx
    mov     rbx, [rsi + SAVED_RBX]
    mov     [rdi + SAVED_R12], r12
    mov     r12, [rsi + SAVED_R12]
    mov     [rdi + SAVED_R13], r13
    mov     r13, [rsi + SAVED_R13]
    mov     [rdi + SAVED_R14], r14
    mov     r14, [rsi + SAVED_R14]
    mov     [rdi + SAVED_R15], r15
    mov     r15, [rsi + SAVED_R15]
    mov     [rdi + SAVED_RBP], rbp
    mov     rbp, [rsi + SAVED_RBP]
    mov     [rdi + SAVED_RSP], rsp
    mov     rsp, [rsi + SAVED_RSP]
    pushfq
    pop     qword ptr [rdi + SAVED_RFLAGS]
    push    qword ptr [rsi + SAVED_RFLAGS]
    popfq
    jmp     redox_switched
