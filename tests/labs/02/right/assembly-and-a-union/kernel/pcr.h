/* pcr.h: the PCR as one page, with the TSS in front of the GDT.
 * SPDX-License-Identifier: MIT */
#pragma once
#define PCR_USER_RSP 8
#define PCR_TSS_RSP0 64

#ifndef __ASSEMBLER__
#include <kernel/cpu_state.h>
#include <kernel/gdt.h>

struct pcr {
    union {
        struct {
            struct pcr *self;
            uint64_t user_rsp;
            struct cpu_state;
            char room[PCR_TSS_RSP0 - 4 - 16 - sizeof(struct cpu_state)];
            struct tss tss;
            uint64_t gdt[GDT_ENTRIES] __attribute__((aligned(64)));
        };
        char page[PAGE_SIZE];
    };
} __attribute__((aligned(PAGE_SIZE)));
_Static_assert(offsetof(struct pcr, tss.rsp0) == PCR_TSS_RSP0 && PCR_TSS_RSP0 % 8 == 0, "pcr.h");

#define this_cpu ((__seg_gs struct pcr *)0)
void pcr_init(struct pcr *pcr, unsigned cpu);
#endif
