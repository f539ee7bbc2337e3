/* A task that looks at its registers as soon as it runs for the first time, and then gives way to the next one, which
 * does the same: many copies, each of which ends a round of the sweep and begins another. So an interrupt strikes each
 * instruction on the way from one task to the first run of the next. */
/* SPDX-License-Identifier: MIT */
.intel_syntax noprefix

#define SYS_YIELD 24
#define SYS_EXIT  231

.globl _start
.type _start, @function
_start:
    int     0x82                        /* the end of a round */
    mov     r15d, 1                     /* the status, if anything is not as it should be */
    lea     rsp, [rsp - 8]              /* the word below is free */
    pushfq
    cmp     qword ptr [rsp], 0x202      /* IF, and bit 1 */
    jne     1f
    add     rsp, 16
    .irp register, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14
    test    \register, \register
    jnz     1f
    .endr
    test    rsp, 15
    jnz     1f
    cmp     qword ptr [rsp], 1          /* argc */
    jne     1f
    mov     rbx, rsp
    mov     eax, SYS_YIELD
    int     0x81                        /* the beginning of the next round */
    syscall
    test    rax, rax
    jnz     1f
    cmp     rbx, rsp
    jne     1f
    xor     r15d, r15d
1:  mov     edi, r15d
    mov     eax, SYS_EXIT
    syscall
.size _start, . - _start

.section .note.GNU-stack, "", @progbits
