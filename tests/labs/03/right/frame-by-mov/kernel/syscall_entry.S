/* syscall_entry.S: The frame's room is taken at once, each word is stored by MOV, in no order at all.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>
#include <kernel/entry_macros.h>
#include <kernel/gdt.h>
#include <kernel/pcr.h>
#include <kernel/syscall.h>

FUNCTION(syscall_entry)
        swapgs
        mov     gs:[PCR_USER_RSP], rsp
        mov     rsp, gs:[PCR_TSS_RSP0]
        sub     rsp, FRAME_SIZE
        mov     [rsp + 80], rax
        mov     [rsp + 40], rbx
        mov     [rsp + 32], rbp
        mov     [rsp + 24], r12
        mov     [rsp + 16], r13
        mov     [rsp + 8], r14
        mov     [rsp + 0], r15
        mov     [rsp + 112], rdi
        mov     [rsp + 104], rsi
        mov     [rsp + 96], rdx
        mov     [rsp + 56], r10
        mov     [rsp + 72], r8
        mov     [rsp + 64], r9
        mov     [rsp + 88], rcx
        mov     [rsp + 48], r11
        mov     rax, gs:[PCR_USER_RSP]
        mov     [rsp + FRAME_RSP], rax
        mov     [rsp + FRAME_RIP], rcx
        mov     [rsp + FRAME_RFLAGS], r11
        mov     qword ptr [rsp + FRAME_CS], SEL_USER_CODE
        mov     qword ptr [rsp + FRAME_SS], SEL_USER_DATA
        mov     qword ptr [rsp + FRAME_VECTOR + 8], 0
        mov     qword ptr [rsp + FRAME_VECTOR], VECTOR_SYSCALL
        lea     rbx, [rsp]                      /* C keeps rbx: the frame is found by it */
        sti
        mov     rdi, rbx
        call    syscall_dispatch
        cli
        mov     [rbx + FRAME_RAX], rax
        mov     rdi, rbx
        call    user_return
        mov     r9, [rsp + 64]
        mov     r8, [rsp + 72]
        mov     r10, [rsp + 56]
        mov     rdx, [rsp + 96]
        mov     rsi, [rsp + 104]
        mov     rdi, [rsp + 112]
        mov     r15, [rsp + 0]
        mov     r14, [rsp + 8]
        mov     r13, [rsp + 16]
        mov     r12, [rsp + 24]
        mov     rbp, [rsp + 32]
        mov     rbx, [rsp + 40]
        mov     rax, [rsp + FRAME_RAX]
        mov     r11, [rsp + FRAME_RFLAGS]
        mov     rcx, [rsp + FRAME_RIP]
        swapgs                                  /* the kernel's stack needs no GS */
        mov     rsp, [rsp + FRAME_RSP]
        sysretq

/* Where IA32_CSTAR points: SYSCALL from 32-bit code, which only AMD's CPUs have. Ring 3 has no 32-bit segment here, so
 * nobody comes; but an address of 0 would be ring 0 executing a program's page.
 * In:   ring 0, GS = USER, RSP = USER, ecx = user EIP, r11 = user RFLAGS.     Out: ring 3, eax = -ENOSYS. */
FUNCTION(syscall32_entry)
                          mov     eax, -ENOSYS
                          .byte   0x0f, 0x07                  /* SYSRETL; gas and clang differ in its name */
