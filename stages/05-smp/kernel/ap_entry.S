/* ap_entry.S: another CPU's way from its start-up IPI to C. smp.c copies the first part to AP_PAGE.
 * SPDX-License-Identifier: MIT
 *
 * The start-up IPI with vector V starts the CPU in real mode at V000h:0000h, here AP_PAGE. Its data lie
 * at fixed offsets from the start of the page (smp.h), which is where DS points.
 * Source: SDM 3A, "MP Initialization Protocol Algorithm for MP Systems". */
#include <kernel/asm.h>
#include <kernel/memory.h>
#include <kernel/pcr.h>
#include <kernel/smp.h>
#include <kernel/x86.h>

#define AP_CODE32   0x08
#define AP_DATA32   0x10

.section .rodata
/* In:   real mode, CS = AP_PAGE / 16, IF=0; several CPUs at once.
 * Out:  enter_long_mode, which goes on at ap_start with esi = the number that this CPU has claimed. One that comes too
 *       late, or for which nothing is prepared, halts here for ever. */
.code16
FUNCTION(ap_trampoline)
    jmp     1f
.org ap_trampoline + AP_CLAIMS
    .long   0
.org ap_trampoline + AP_LIMIT
    .long   0
.org ap_trampoline + AP_GDT
    .quad   0, GDT_CODE32, GDT_DATA32
.org ap_trampoline + AP_GDT_POINTER
    .word   AP_GDT_POINTER - AP_GDT - 1
    .long   AP_PAGE + AP_GDT
1:  cli
    cld
    mov     ax, cs
    mov     ds, ax
    mov     esi, 1
    lock xadd [AP_CLAIMS], esi
    cmp     esi, [AP_LIMIT]
    jae     2f
    lgdt    [AP_GDT_POINTER]
    mov     eax, cr0
    or      eax, CR0_PE
    mov     cr0, eax
    .att_syntax                     /* clang has no far jump in Intel syntax */
    ljmpl   $AP_CODE32, $(AP_PAGE + 3f - ap_trampoline)
    .intel_syntax noprefix
2:  hlt
    jmp     2b
.code32
3:  mov     eax, AP_DATA32
    mov     ds, eax
    mov     edi, offset ap_start - KERNEL_BASE
    mov     eax, offset enter_long_mode
    jmp     eax                     /* a relative jump would count from the place of the copy */
.globl ap_trampoline_end
ap_trampoline_end:
END(ap_trampoline)

.text
.code64
/* In:   64-bit mode, the boot tables, no stack, IF=0; esi = the number claimed.
 * Out:  ap_main(its PCR), on its own stack, with the kernel's tables. */
FUNCTION(ap_start)
    mov     ecx, MSR_EFER           /* NXE first: the kernel's tables have NX bits */
    rdmsr
    or      eax, EFER_NXE
    wrmsr
    mov     rax, offset kernel_pml4 - KERNEL_BASE
    mov     cr3, rax
STEP(ap_start, 2)
    mov     rdi, [ap_first]
1:  test    esi, esi
    jz      2f
    mov     rdi, [rdi + PCR_NEXT]
    dec     esi
    jmp     1b
2:  mov     rsp, [rdi + PCR_TSS_RSP0]
STEP(ap_start, 3)
    xor     ebp, ebp                /* where a backtrace ends */
    call    ap_main
END(ap_start)
