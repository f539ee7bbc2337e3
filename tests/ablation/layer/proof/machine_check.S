/* machine_check.S: vector 18, with a program's GS base, all registers known, DF and AC set. Started by machine_check.c.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>
#include <kernel/x86.h>

/* _Noreturn void raise_machine_check(void) */
FUNCTION(raise_machine_check)
    mov     ecx, MSR_GS_BASE
    mov     eax, 0x1000
    xor     edx, edx
    wrmsr
    push    RFLAGS_ONE | RFLAGS_DF | RFLAGS_AC | RFLAGS_ID
    popfq
    mov     rax, 0x0a0a0a0a0a0a0a0a
    mov     rbx, 0x0b0b0b0b0b0b0b0b
    mov     rcx, 0x0c0c0c0c0c0c0c0c
    mov     rdx, 0x0d0d0d0d0d0d0d0d
    mov     rsi, 0x1515151515151515
    mov     rdi, 0x1616161616161616
    mov     r8, 0x0808080808080808
    mov     r9, 0x0909090909090909
    mov     r10, 0x1010101010101010
    mov     r11, 0x1111111111111111
    mov     r12, 0x1212121212121212
    mov     r13, 0x1313131313131313
    mov     r14, 0x1414141414141414
    mov     r15, 0x1717171717171717
    int     18
    ud2
