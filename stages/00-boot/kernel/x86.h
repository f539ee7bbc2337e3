/* x86.h: one inline function per instruction that C cannot say, and the bits of the registers they reach.
 * SPDX-License-Identifier: MIT
 *
 * Names are the manuals'. Sources: SDM 3A, "Control Registers"; SDM 1, "EFLAGS Register"; SDM 4 for the MSRs. */
#pragma once

#define CR0_PE (1 << 0)
#define CR0_MP (1 << 1)
#define CR0_NE (1 << 5)
#define CR0_WP (1 << 16)
#define CR0_AM (1 << 18)
#define CR0_PG 0x80000000

#define CR4_PAE        (1 << 5)
#define CR4_MCE        (1 << 6)
#define CR4_OSFXSR     (1 << 9)
#define CR4_OSXMMEXCPT (1 << 10)
#define CR4_UMIP       (1 << 11)
#define CR4_SMEP       (1 << 20)
#define CR4_SMAP       (1 << 21)

#define RFLAGS_ONE    (1 << 1) /* always set */
#define RFLAGS_TF     (1 << 8)
#define RFLAGS_IF     (1 << 9)
#define RFLAGS_DF     (1 << 10)
#define RFLAGS_IOPL   (3 << 12)
#define RFLAGS_NT     (1 << 14)
#define RFLAGS_RF     (1 << 16)
#define RFLAGS_AC     (1 << 18)
#define RFLAGS_ID     (1 << 21)
#define RFLAGS_STATUS 0x8d5 /* CF, PF, AF, ZF, SF, OF: what arithmetic leaves */

/* What ring 3 can set for itself by POPF; IOPL, IF, VM, RF are not among them. */
#define RFLAGS_USER (RFLAGS_STATUS | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID)

#define MSR_APIC_BASE      0x1b
#define MSR_SYSENTER_CS    0x174
#define MSR_EFER           0xc0000080
#define MSR_STAR           0xc0000081
#define MSR_LSTAR          0xc0000082
#define MSR_CSTAR          0xc0000083
#define MSR_SFMASK         0xc0000084
#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102

#define EFER_SCE (1 << 0)
#define EFER_LME (1 << 8)
#define EFER_NXE (1 << 11)

/* Page-table entries: SDM 3A, "4-Level Paging and 5-Level Paging". */
#define PTE_PRESENT 0x001
#define PTE_WRITE   0x002
#define PTE_USER    0x004
#define PTE_PWT     0x008
#define PTE_PCD     0x010
#define PTE_LARGE   0x080
#define PTE_NX      0x8000000000000000
#define PTE_ADDRESS 0x000ffffffffff000

/* A flat 64-bit code segment of ring 0, its accessed bit already set. SDM 3A, "Segment Descriptors". */
#define GDT_CODE64 0x00af9b000000ffff
#define GDT_CODE32 0x00cf9b000000ffff
#define GDT_DATA32 0x00cf93000000ffff

#ifndef __ASSEMBLER__
#include <stdbool.h>
#include <stdint.h>

/* Where a descriptor table lies; what LGDT and LIDT load. */
struct table_pointer {
    uint16_t limit; /* the last byte, not the size */
    uint64_t base;
} __attribute__((packed));

static inline void outb(uint16_t port, uint8_t value) { __asm__ volatile("out %1, %0" : : "a"(value), "Nd"(port)); }

static inline uint8_t inb(uint16_t port) {
    uint8_t value;
    __asm__ volatile("in %0, %1" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint64_t rdmsr(uint32_t msr) {
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return low | (uint64_t)high << 32;
}

static inline void wrmsr(uint32_t msr, uint64_t value) {
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

#define CONTROL_REGISTER(name)                                                                                         \
    static inline uint64_t read_##name(void) {                                                                         \
        uint64_t value;                                                                                                \
        __asm__ volatile("mov %0, " #name : "=r"(value));                                                              \
        return value;                                                                                                  \
    }                                                                                                                  \
    static inline void write_##name(uint64_t value) { __asm__ volatile("mov " #name ", %0" : : "r"(value) : "memory"); }

CONTROL_REGISTER(cr0)
CONTROL_REGISTER(cr2)
CONTROL_REGISTER(cr3)
CONTROL_REGISTER(cr4)
CONTROL_REGISTER(dr6)

static inline void invlpg(uint64_t address) { __asm__ volatile("invlpg [%0]" : : "r"(address) : "memory"); }

static inline void cli(void) { __asm__ volatile("cli" : : : "memory"); }

static inline void sti(void) { __asm__ volatile("sti" : : : "memory"); }

static inline void hlt(void) { __asm__ volatile("hlt" : : : "memory"); }

/* In every wait loop: it frees the sibling thread, and lets an emulator run another CPU. */
static inline void pause(void) { __asm__ volatile("pause" : : : "memory"); }

static inline uint64_t read_rflags(void) {
    uint64_t flags;
    __asm__ volatile("pushfq; pop %0" : "=r"(flags) : : "memory");
    return flags;
}

static inline uint64_t rdtsc(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return low | (uint64_t)high << 32;
}

/* answer: EAX, EBX, ECX, EDX; of subleaf 0. */
static inline void cpuid(uint32_t leaf, uint32_t answer[4]) {
    __asm__ volatile("cpuid" : "=a"(answer[0]), "=b"(answer[1]), "=c"(answer[2]), "=d"(answer[3]) : "a"(leaf), "c"(0));
}
#endif
