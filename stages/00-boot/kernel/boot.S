/* boot.S: from GRUB's 32-bit protected mode to 64-bit C. GRUB enters at boot_entry, once, on the boot CPU.
 * SPDX-License-Identifier: MIT
 *
 * Everything in section .boot is linked at its physical address. Source: Multiboot2 Specification, "Machine state". */
#include <kernel/asm.h>
#include <kernel/machine.h>
#include <kernel/memory.h>
#include <kernel/x86.h>

#define MULTIBOOT2_HEADER_MAGIC 0xe85250d6
#define BOOT_CODE64             0x08

/* EDX of CPUID leaf 0x80000001. Source: SDM 2A, "CPUID - CPU Identification". */
#define CPUID_NX        (1 << 20)
#define CPUID_LONG_MODE (1 << 29)

.section .multiboot2, "a"
.balign 8
header:
    .long MULTIBOOT2_HEADER_MAGIC, 0, header_end - header
    .long 0x100000000 - (MULTIBOOT2_HEADER_MAGIC + (header_end - header))
    .short 6, 0                     /* modules on page borders */
    .long 8
    .short 0, 0                     /* the end tag */
    .long 8
header_end:

.section .boot, "ax"
.code32
/* In:   ebx = the boot information, protected mode, paging off, IF=0. ESP, GDTR, IDTR and DF are undefined, so nothing
 *       here pushes before it has a stack of its own.
 * Out:  never returns; goes on in kernel_start. */
FUNCTION(boot_entry)
    cld
    mov     edi, ebx                /* CPUID overwrites ebx */
    mov     eax, 0x80000000         /* the highest extended leaf */
    cpuid
    cmp     eax, 0x80000001
    jb      boot_fail
    mov     eax, 0x80000001
    cpuid
    and     edx, CPUID_LONG_MODE | CPUID_NX
    cmp     edx, CPUID_LONG_MODE | CPUID_NX
    jne     boot_fail

    mov     esi, offset kernel_start - KERNEL_BASE
    jmp     enter_long_mode

/* Says on COM1 and on the VGA text screen that this CPU will not do, ends the emulator or halts. */
FUNCTION(boot_fail)
    mov     esi, offset no_long_mode
    mov     edi, VGA_TEXT
    mov     dx, COM1 + COM_LINE
    mov     al, COM_8_BITS          /* GRUB may have left it at 5 */
    out     dx, al
1:  lodsb
    mov     bl, al
    mov     dx, COM1
    out     dx, al
    mov     ah, 0x0f                /* white on black */
    stosw
    mov     dx, COM1 + COM_LINE_STATUS
2:  in      al, dx
    test    al, COM_ALL_SENT        /* or the end of an emulator swallows the last characters */
    jz      2b
    cmp     bl, '\n'
    jne     1b
    mov     al, EXIT_BAD
    out     QEMU_EXIT_PORT, al
    mov     dx, BOCHS_EXIT_PORT
    mov     ecx, 8                  /* ESI is at the word behind the text: there LODSB has led */
    rep outsb
3:  hlt
    jmp     3b

/* From 32-bit protected mode with paging off into 64-bit mode, on the boot tables. No stack is used, so that several
 * CPUs can come through here side by side.
 * In:   esi = where to go on: the physical address of code in the kernel's text; edi, ebp are handed through. IF=0.
 * Out:  ring 0, 64-bit mode, RSP undefined. The data segments are still the old ones: 64-bit mode does not look at them
 *       until something is loaded. */
FUNCTION(enter_long_mode)
    mov     eax, CR4_PAE            /* and nothing else, whatever was set */
    mov     cr4, eax
    mov     eax, offset boot_pml4
    mov     cr3, eax
    mov     ecx, MSR_EFER
    mov     eax, EFER_LME | EFER_NXE    /* as with CR4: FFXSR, for one, would leave XMM out of FXSAVE */
    xor     edx, edx
    wrmsr
    mov     eax, CR0_PG | CR0_WP | CR0_NE | CR0_PE  /* CD and NW clear: INIT may leave the caches off */
    mov     cr0, eax                /* compatibility mode: 64-bit paging under 32-bit code */
    lgdt    [boot_gdt_pointer]
    .att_syntax                     /* clang has no far jump in Intel syntax */
    ljmpl   $BOOT_CODE64, $1f
    .intel_syntax noprefix
.code64
1:  mov     eax, esi
    add     rax, KERNEL_BASE        /* up to where the kernel is linked */
    jmp     rax

.balign 8
boot_gdt:
    .quad 0, GDT_CODE64
boot_gdt_pointer:
    .word . - boot_gdt - 1
    .long boot_gdt
no_long_mode:
    .ascii "ringstep: this CPU has no long mode with NX; ringstep needs a 64-bit x86 CPU\n"
    .ascii "Shutdown"               /* for Bochs; boot_fail finds it right behind the text */

/* The first 4 GiB, three times: where they are (until the jump), in the direct window, and the first of them where the
 * kernel is linked. All readable, writable and executable: paging.c makes better tables soon. */
.section .boot_tables, "aw"
.balign PAGE_SIZE
boot_pml4:
    .quad   boot_pdpt + (PTE_PRESENT | PTE_WRITE)
.org boot_pml4 + 8 * PML4_INDEX(DIRECT_BASE)
    .quad   boot_pdpt + (PTE_PRESENT | PTE_WRITE)
.org boot_pml4 + 8 * PML4_INDEX(KERNEL_BASE)
    .quad   boot_pdpt + (PTE_PRESENT | PTE_WRITE)
boot_pdpt:
    .irp    gigabyte, 0, 1, 2, 3
    .quad   boot_pd + \gigabyte * PAGE_SIZE + (PTE_PRESENT | PTE_WRITE)
    .endr
.org boot_pdpt + 8 * PDPT_INDEX(KERNEL_BASE)
    .quad   boot_pd + (PTE_PRESENT | PTE_WRITE), 0
boot_pd:
    .rept   4 * 512
    .quad   (. - boot_pd) / 8 * LARGE_PAGE_SIZE + (PTE_PRESENT | PTE_WRITE | PTE_LARGE)
    .endr

.text
/* In:   64-bit mode, the boot tables, edi = the boot information, IF=0.
 * Out:  kernel_main(edi) on the boot stack; it does not return. */
FUNCTION(kernel_start)
    mov     rsp, offset boot_stack_top
    xor     ebp, ebp                /* where a backtrace ends */
    call    kernel_main

/* The boot CPU's first stack. paging.c leaves the page below it unmapped, so that an overflow faults. */
.bss
.balign PAGE_SIZE
.globl boot_stack_guard, boot_stack_top
boot_stack_guard:
    .skip PAGE_SIZE + KERNEL_STACK_SIZE
boot_stack_top:
