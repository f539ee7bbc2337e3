/* turns.S: a program in ring 3 that gives way, is preempted and sleeps, in turn. The grader fills all of its registers
 * at its first instruction and looks at them whenever it runs again. It changes rax, rcx, rdi, rsi, r11 and the
 * arithmetic flags, and no other. Pristine: no student's file is in it.
 * SPDX-License-Identifier: MIT */
.intel_syntax noprefix
.text
.globl _start
_start:
        nop
again:  mov     eax, 24                 /* sched_yield */
        syscall
        mov     rcx, [rip + spin]       /* long enough for a tick of the timer to come */
1:      dec     rcx
        jnz     1b
        lea     rdi, [rip + nap]
        xor     esi, esi
        mov     eax, 35                 /* nanosleep: meanwhile the CPU may idle */
        syscall
        dec     qword ptr [rip + rounds]
        jnz     again
        mov     eax, 231                /* exit_group */
        xor     edi, edi
        syscall
.data
.globl spin, nap, rounds
.balign 16
nap:    .quad   0, 1000000              /* s, ns */
spin:   .quad   1
rounds: .quad   1
.section .note.GNU-stack, "", @progbits
