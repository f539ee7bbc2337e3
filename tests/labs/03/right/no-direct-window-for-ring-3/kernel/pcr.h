/* pcr.h: the processor control region, one per CPU: what a CPU needs before it can find anything else.
 * IA32_GS_BASE points at it whenever the kernel runs, so this_cpu->field is one instruction and needs no lock.
 * SPDX-License-Identifier: MIT */
#pragma once

/* Offsets for assembly; asserted below. */
#define PCR_USER_RSP    8
#define PCR_TSS_RSP0    88
#define PCR_TASK_CR3    192
#define PCR_PROGRAM_CR3 200

#ifndef __ASSEMBLER__
#include <kernel/cpu_state.h>
#include <kernel/gdt.h>

struct pcr {
    struct pcr *self;          /* its own address, for code that needs a pointer and not a field */
    uint64_t user_rsp;         /* scratch of syscall_entry (stage 03), for the few instructions without a stack */
    uint64_t gdt[GDT_ENTRIES]; /* per CPU, because LTR marks the TSS descriptor busy */
    uint32_t padding;          /* puts tss.rsp0 on an 8-byte boundary: no load of it straddles a cache line */
    struct tss tss;
    struct cpu_state; /* its members, as if they stood here: what software keeps per CPU */
} __attribute__((aligned(PAGE_SIZE)));

_Static_assert(offsetof(struct pcr, user_rsp) == PCR_USER_RSP, "pcr.h");
_Static_assert(offsetof(struct pcr, tss.rsp0) == PCR_TSS_RSP0, "pcr.h");
_Static_assert(offsetof(struct pcr, task_cr3) == PCR_TASK_CR3, "pcr.h");
_Static_assert(offsetof(struct pcr, program_cr3) == PCR_PROGRAM_CR3, "pcr.h");
_Static_assert(sizeof(struct pcr) == PAGE_SIZE, "no two CPUs share a page of their PCRs");

/* GS base is the PCR, so address 0 in the GS address space is its first byte. Not volatile, so that
 * this_cpu->syscalls++ is one instruction. A value read here is this CPU's: use it while the task cannot be moved to
 * another one, and keep no pointer to a PCR across a switch. */
#define this_cpu ((struct pcr __seg_gs *)0)

/* Makes it the PCR of the CPU with the given number (0 is the boot CPU), and points GDTR, TR and GS base at it. Runs on
 * that CPU with interrupts off, before anything that uses this_cpu. GDT and TSS are filled. */
void pcr_init(struct pcr *pcr, unsigned cpu);
#endif
