/* syscall_entry.S: RAX waits in the PCR and not RSP, which waits in RAX.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>
#include <kernel/entry_macros.h>
#include <kernel/gdt.h>
#include <kernel/pcr.h>
#include <kernel/syscall.h>

FUNCTION(syscall_entry)
        swapgs
        mov     gs:[PCR_USER_RSP], rax
        mov     rax, rsp
        mov     rsp, gs:[PCR_TSS_RSP0]
        push    SEL_USER_DATA
        push    rax
        mov     rax, gs:[PCR_USER_RSP]
        push    r11
        push    SEL_USER_CODE
        push    rcx
        push    0
        push    VECTOR_SYSCALL
        PUSH_REGISTERS
        mov     rbp, rsp
        mov     rdi, rsp
        sti
        call    syscall_dispatch
        mov     rdi, rbp
        mov     [rbp + FRAME_RAX], rax
        cli
        call    user_return
        mov     rsp, rbp
        POP_REGISTERS
        mov     rcx, [rsp + FRAME_RIP - FRAME_VECTOR]
        mov     r11, [rsp + FRAME_RFLAGS - FRAME_VECTOR]
        mov     rsp, [rsp + FRAME_RSP - FRAME_VECTOR]
        swapgs
        sysretq

/* Where IA32_CSTAR points: SYSCALL from 32-bit code, which only AMD's CPUs have. Ring 3 has no 32-bit segment here, so
 * nobody comes; but an address of 0 would be ring 0 executing a program's page.
 * In:   ring 0, GS = USER, RSP = USER, ecx = user EIP, r11 = user RFLAGS.     Out: ring 3, eax = -ENOSYS. */
FUNCTION(syscall32_entry)
                          mov     eax, -ENOSYS
                          .byte   0x0f, 0x07                  /* SYSRETL; gas and clang differ in its name */
