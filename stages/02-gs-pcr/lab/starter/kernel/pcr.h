/* pcr.h: the processor control region, one per CPU: what a CPU needs before it can find anything else.
 * IA32_GS_BASE points at it whenever the kernel runs, so this_cpu->field is one instruction and needs no lock.
 * Lab 02: yours to write.
 * SPDX-License-Identifier: MIT */
#pragma once

/* Offsets for assembly, which stage 03 will use: of user_rsp and of tss.rsp0 in struct pcr. */
#define PCR_USER_RSP 0 /* lab 02: not yet */
#define PCR_TSS_RSP0 0 /* lab 02: not yet */

#ifndef __ASSEMBLER__
#include <kernel/cpu_state.h>
#include <kernel/gdt.h>

/* These are the members that others use by name (main.c shows them); their order and alignment are yours, and you may
 * add to them. What it must be:
 *   gs:[0] is self, and user_rsp comes behind it;
 *   tss.rsp0 lies at a multiple of 8, or a load of it may straddle two cache lines (think of where the TSS has it);
 *   a PCR begins a page and fills it, so that no two CPUs ever write to the same one.
 * When it is so, say it to the compiler as well: _Static_assert(offsetof(struct pcr, user_rsp) == PCR_USER_RSP, "x"),
 * and the like for the rest. */
struct pcr {
    struct cpu_state;          /* its members, as if they stood here: what software keeps per CPU */
    struct tss tss;            /* per CPU, because rsp0 is */
    uint64_t gdt[GDT_ENTRIES]; /* per CPU, because LTR marks the TSS descriptor busy */
    struct pcr *self;          /* its own address, for code that needs a pointer and not a field */
    uint64_t user_rsp;         /* scratch of syscall_entry (stage 03), for the few instructions without a stack */
};

/* A pointer to the PCR of the CPU that executes it, such that this_cpu->syscalls++ is one instruction with a GS prefix.
 * gcc and clang have a qualifier for it: gcc's manual, "Named Address Spaces". */
#define this_cpu this_cpu_is_missing()
static inline struct pcr *this_cpu_is_missing(void) { panic("lab 02: this_cpu is yours to write"); }

/* Makes it the PCR of the CPU with the given number (0 is the boot CPU), and points GDTR, TR and GS base at it. Runs on
 * that CPU with interrupts off, before anything that uses this_cpu. GDT and TSS are filled. */
void pcr_init(struct pcr *pcr, unsigned cpu);
#endif
