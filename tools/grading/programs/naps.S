/* naps.S: a program in ring 3 that sleeps once, and then computes for ever. How long it sleeps the grader writes; what
 * the time-stamp counter said before and behind it is in r14 and r15. Pristine: no student's file is in it.
 * SPDX-License-Identifier: MIT */
.intel_syntax noprefix
.text
.globl _start, awake
_start:
        nop
        rdtsc
        shl     rdx, 32
        lea     r14, [rax + rdx]
        lea     rdi, [rip + nap]
        xor     esi, esi
        mov     eax, 35                 /* nanosleep */
        syscall
        rdtsc
        shl     rdx, 32
        lea     r15, [rax + rdx]
awake:  nop
1:      jmp     1b
.data
.globl nap
.balign 16
nap:    .quad   0, 100000000            /* s, ns */
.section .note.GNU-stack, "", @progbits
