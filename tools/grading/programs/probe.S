/* probe.S: a program in ring 3 that does next to nothing. The grader stops the machine at its labels, fills the
 * registers with values of its own, and looks at what comes back. Pristine: no student's file is in it.
 * SPDX-License-Identifier: MIT */
.intel_syntax noprefix
.text
.globl _start, call, called, trap, trapped, fault, faulted, far_call, loop, int80, int80_done, end
_start:
        nop
call:   syscall
called: nop
        jmp     call
trap:   int3
trapped:
        nop
        jmp     trap
fault:  ud2
faulted:
        nop
int80:  int     0x80
int80_done:
        nop
        jmp     int80
loop:   jmp     loop
end:    mov     eax, 231                /* exit_group */
        xor     edi, edi
        syscall
.data
.globl data
data:   .fill   512, 8, 0
.section .note.GNU-stack, "", @progbits
