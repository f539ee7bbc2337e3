/* gdt.h: segments and the task state segment: what 64-bit mode has left of them.
 * Lab 01: it is complete. You may add to it; program.c and others use what it says.
 * SPDX-License-Identifier: MIT */
#pragma once

/* The order is SYSCALL's and SYSRET's (stage 03): SYSCALL takes one selector and the one after it for the kernel,
 * SYSRET takes one selector, +8 for the user's data and +16 for the user's 64-bit code. Slot 3, which SYSRET would use
 * for 32-bit code, stays empty: a program that got there could enter the kernel by another door. */
#define SEL_KERNEL_CODE 0x08
#define SEL_KERNEL_DATA 0x10
#define SEL_USER_CODE32 0x18
#define SEL_USER_DATA   0x23 /* 0x20, and the 3 says: ring 3 */
#define SEL_USER_CODE   0x2b
#define SEL_TSS         0x30 /* takes two slots */

#ifndef __ASSEMBLER__
#include <stdint.h>

#define GDT_ENTRIES 8

/* Interrupt stack table: which of the TSS's stacks a gate asks for (idt.c). 0 means none. */
enum { IST_DF = 1, IST_NMI = 2, IST_DB = 3, IST_MC = 4, IST_COUNT = 4 };

/* The CPU reads rsp0 on an interrupt from ring 3, and ist[] where a gate asks for it.
 * Source: SDM 3A, "Task Management in 64-bit Mode". */
struct tss {
    uint32_t reserved0;
    uint64_t rsp0; /* the kernel stack's top of the task in ring 3; set_kernel_stack() alone writes it */
    uint64_t rsp1, rsp2;
    uint64_t reserved1;
    uint64_t ist[7]; /* ist[0] is IST 1 */
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t iomap_base; /* beyond the limit: no port for ring 3. 0 would make the TSS itself the permission bitmap */
} __attribute__((packed));

_Static_assert(sizeof(struct tss) == 104, "SDM 3A, \"Task Management in 64-bit Mode\"");

/* Fills a zeroed GDT, whose TSS descriptor points at the given TSS, and gives the TSS its interrupt stacks. Panics
 * without memory. */
void gdt_fill(uint64_t gdt[GDT_ENTRIES], struct tss *tss);

/* Loads GDTR, every segment register, LDTR and TR of this CPU. The bases of FS and GS must be set anew: Intel's CPUs
 * clear them, older ones of AMD's leave them. */
void gdt_load(uint64_t gdt[GDT_ENTRIES]);

/* Does both for the boot CPU (cpu.c). */
void cpu_init(void);
#endif
