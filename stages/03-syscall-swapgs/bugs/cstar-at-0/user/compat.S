/* Goes to 32-bit code, by a far jump to the selector that SYSRET's layout keeps for it, and executes SYSCALL there. */
/* SPDX-License-Identifier: MIT */
.intel_syntax noprefix

.globl main
.type main, @function
main:
    jmp     fword ptr [rip + far_pointer]
far_pointer:
    .long   in_32_bits                  /* programs lie below 4 GiB */
    .word   0x1b                        /* the slot behind the kernel's two, ring 3 */
.code32
in_32_bits:
    mov     eax, 39                     /* getpid */
    syscall
    ud2
.code64
.size main, . - main

.section .note.GNU-stack, "", @progbits
