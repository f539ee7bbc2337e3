/* vectors.S: instructions that C does not have, for the tests of the way into the kernel (vectors.c).
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>
#include <kernel/trap_frame.h>

.text

/* void raise_vector[256](void): 16 bytes for each vector, that raise it. An int pushes no error code. */
.balign 16
FUNCTION(raise_vector)
.irp high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
.irp low, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .balign 16
    .byte   0xcd, 16*\high+\low     /* int, in two bytes for 3 as well */
    ret
.endr
.endr

/* void raise_with_registers(const uint64_t set[16], uint64_t found[16])
 *
 * Loads rax, rcx, rdx, rbx, rbp, rsi, rdi, r8 ... r15 and RFLAGS from set, executes int3, and stores them in found. */
FUNCTION(raise_with_registers)
    push    rbx
    push    rbp
    push    r12
    push    r13
    push    r14
    push    r15
    pushfq
    push    rsi
    push    qword ptr [rdi + 8 * 15]
    popfq                           /* from here on moves alone, which change no flag */
    mov     rax, [rdi]
    mov     rcx, [rdi + 8 * 1]
    mov     rdx, [rdi + 8 * 2]
    mov     rbx, [rdi + 8 * 3]
    mov     rbp, [rdi + 8 * 4]
    mov     rsi, [rdi + 8 * 5]
    mov     r8, [rdi + 8 * 7]
    mov     r9, [rdi + 8 * 8]
    mov     r10, [rdi + 8 * 9]
    mov     r11, [rdi + 8 * 10]
    mov     r12, [rdi + 8 * 11]
    mov     r13, [rdi + 8 * 12]
    mov     r14, [rdi + 8 * 13]
    mov     r15, [rdi + 8 * 14]
    mov     rdi, [rdi + 8 * 6]
    int3
    pushfq
    push    r15
    push    r14
    push    r13
    push    r12
    push    r11
    push    r10
    push    r9
    push    r8
    push    rdi
    push    rsi
    push    rbp
    push    rbx
    push    rdx
    push    rcx
    push    rax
    cld
    mov     rsi, rsp
    mov     rdi, [rsp + 8 * 16]
    mov     ecx, 16
    rep movsq
    add     rsp, 8 * 17
    popfq
    pop     r15
    pop     r14
    pop     r13
    pop     r12
    pop     rbp
    pop     rbx
    ret
.section .note.GNU-stack, "", @progbits
