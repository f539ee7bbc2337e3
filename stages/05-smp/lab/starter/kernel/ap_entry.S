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
    /* Lab 05, part 1, is yours to write: protected mode, by the table below; a far jump into .code32, which clang has
     * in AT&T syntax only (ljmpl); a data segment; then enter_long_mode (boot.S), with ESI as it wants it. This code
     * runs at AP_PAGE, and was linked elsewhere. */
1:  cli
    hlt
    jmp     1b
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
    /* Lab 05, part 2, is yours to write: the kernel's tables; a PCR that no other CPU takes; its stack; ap_main(). */
    xor     ebp, ebp                /* where a backtrace ends */
2:  hlt
    jmp     2b
