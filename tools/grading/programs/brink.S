/* brink.S: a program in ring 3 that fills the last page of user space with NOP and stops at two places, from which the
 * grader leads it over the edge: by running off the end, and by a SYSCALL in the last two bytes. Pristine: no student's
 * file is in it. SPDX-License-Identifier: MIT */
.intel_syntax noprefix
.text
.globl _start, ready_run, ready_syscall, loop
_start: mov     eax, 9                          /* mmap(the last page, all rights, private, fixed, anonymous) */
        mov     rdi, 0x7ffffffff000
        mov     esi, 4096
        mov     edx, 7
        mov     r10d, 0x32
        mov     r8, -1
        xor     r9d, r9d
        syscall
        mov     rdi, 0x7ffffffff000
        mov     ecx, 4096
        mov     al, 0x90
        rep stosb
ready_run:
        nop
        mov     word ptr [rdi - 2], 0x050f
ready_syscall:
        nop
loop:   jmp     loop
.section .note.GNU-stack, "", @progbits
