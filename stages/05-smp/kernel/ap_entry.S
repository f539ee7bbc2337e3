/* ap_entry.S: another CPU's way from its start-up IPI to C. smp.c copies the first part to AP_PAGE.
 * SPDX-License-Identifier: MIT
 *
 * The start-up IPI with vector V starts the CPU in real mode at V000h:0000h, here AP_PAGE.
 * Source: SDM 3A, "MP Initialization Protocol Algorithm for MP Systems". */
#include <kernel/asm.h>
#include <kernel/memory.h>
#include <kernel/pcr.h>
#include <kernel/smp.h>
#include <kernel/x86.h>

#define AP_GDT_POINTER 64           /* its offset in the page, which is where CS points */
#define AP_CODE32      0x08
#define AP_DATA32      0x10

.section .rodata
/* In:   real mode, CS = AP_PAGE / 16, IF=0, DF=0, no stack; several CPUs at once.
 * Out:  enter_long_mode, which goes on at ap_start. */
.code16
FUNCTION(ap_trampoline)
    lgdt    cs:[AP_GDT_POINTER]
    mov     eax, CR0_PE             /* the rest of CR0 follows in enter_long_mode */
    mov     cr0, eax
    .att_syntax                     /* clang has no far jump in Intel syntax */
    ljmpl   $AP_CODE32, $(AP_PAGE + 1f - ap_trampoline)
    .intel_syntax noprefix
.code32
1:  mov     eax, AP_DATA32
    mov     ds, eax
    mov     esi, offset ap_start - KERNEL_BASE
    mov     eax, offset enter_long_mode
    jmp     eax                     /* a relative jump would count from the place of the copy */
.org ap_trampoline + AP_GDT_POINTER
    .word   3 * 8 - 1
    .long   AP_PAGE + ap_gdt - ap_trampoline
.balign 8
ap_gdt:
    .quad   0, GDT_CODE32, GDT_DATA32
.globl ap_trampoline_end
ap_trampoline_end:

.text
.code64
/* In:   64-bit mode, the boot tables, no stack, IF=0; several CPUs at once.
 * Out:  ap_main(its PCR), on its own stack, with the kernel's tables. A CPU for which there is no PCR halts here for
 *       ever. */
FUNCTION(ap_start)
    mov     rax, offset kernel_pml4 - KERNEL_BASE
    mov     cr3, rax
    mov     rax, [ap_unclaimed]     /* takes the first PCR of the list, unless another CPU is faster */
1:  test    rax, rax
    jz      2f
    mov     rdi, [rax + PCR_NEXT]
    lock cmpxchg [ap_unclaimed], rdi
    jne     1b                      /* it is no longer rax; now rax is what it has become */
    mov     rdi, rax
    mov     rsp, [rdi + PCR_TSS_RSP0]
    xor     ebp, ebp                /* where a backtrace ends */
    call    ap_main
2:  hlt
    jmp     2b
