/* hostile_loader.S: what a boot loader may leave behind, made as bad as Multiboot2 allows. A run of tools/ablate starts
 * the kernel here, and not at boot_entry.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>
#include <kernel/machine.h>
#include <kernel/x86.h>

#define CR0_EM       (1 << 2)
#define CR0_TS       (1 << 3)
#define CR4_TSD      (1 << 2)
#define CR4_FSGSBASE (1 << 16)

#define COM_LOOP     (1 << 4)

.section .boot, "ax"
.code32
/* As GRUB leaves the machine, but for the bits that no loader may rely on. ebx stays: it is the boot information. */
FUNCTION(hostile_loader)
    mov     ecx, cr0
    or      ecx, CR0_EM | CR0_TS
    and     ecx, ~(CR0_WP | CR0_NE)
    mov     cr0, ecx
    mov     ecx, cr4
    or      ecx, CR4_TSD | CR4_FSGSBASE
    mov     cr4, ecx
    mov     dx, COM1 + COM_LINE
    mov     al, COM_DIVISOR
    out     dx, al
    mov     dx, COM1
    mov     al, 0xff                /* the slowest rate that there is */
    out     dx, al
    inc     dx
    out     dx, al
    mov     dx, COM1 + COM_MODEM
    mov     al, COM_LOOP            /* what is sent comes back, and goes nowhere else */
    out     dx, al
    mov     ecx, MSR_KERNEL_GS_BASE
    mov     eax, 0x1000
    xor     edx, edx
    wrmsr
    mov     ecx, MSR_SYSENTER_CS
    mov     eax, 8
    wrmsr
    mov     al, 0x02                /* channel 2 of the interval timer stands still */
    out     0x61, al
    mov     al, 0xb6                /* and counts in mode 3 */
    out     0x43, al

/* The same for a CPU that has no such bits. */
FUNCTION(hostile_loader_32)
    mov     dx, COM1 + COM_LINE
    mov     al, COM_DIVISOR         /* what is sent goes nowhere as long as this is set */
    out     dx, al
    mov     ebp, 0xdeadbeef
    mov     edi, ebp
    mov     esi, ebp
    mov     edx, ebp
    mov     ecx, ebp
    mov     esp, 1
    std
    jmp     boot_entry
.code64
