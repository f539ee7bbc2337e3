/* A task that looks at its registers as soon as it runs for the first time, and waits until it is to do so once more.
 * So an interrupt can strike each instruction on the way from another task to the first run of this one. */
/* SPDX-License-Identifier: MIT */
.intel_syntax noprefix

#define SYS_EXIT 231

.globl _start
.type _start, @function
_start:
    int     0x82                        /* the end of the round */
    pushfq
    cmp     qword ptr [rsp], 0x202      /* IF, and bit 1 */
    jne     1f
    add     rsp, 8
    .irp register, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    test    \register, \register
    jnz     1f
    .endr
    test    rsp, 15
    jnz     1f
    cmp     qword ptr [rsp], 1          /* argc */
    jne     1f
    int     0x83                        /* are the sweeps over? with rdi = 0 it only asks */
    test    al, 2
    jnz     2f
    mov     edi, 1
    int     0x84                        /* does not come back here */
1:  mov     edi, 1                      /* something is not as it should be */
2:  mov     eax, SYS_EXIT
    syscall
.size _start, . - _start

.section .note.GNU-stack, "", @progbits
