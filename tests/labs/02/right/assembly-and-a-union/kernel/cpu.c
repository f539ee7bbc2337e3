/* cpu.c: one PCR of many, filled from behind.
 * SPDX-License-Identifier: MIT */
#include <kernel/pcr.h>

static struct pcr pcrs[4];

void pcr_init(struct pcr *pcr, unsigned cpu) {
    gdt_load(pcr->gdt);
    __asm__ volatile("swapgs" : : : "memory"); /* whatever was there */
    for (unsigned msr = MSR_GS_BASE; msr <= MSR_KERNEL_GS_BASE; msr++)
        wrmsr(msr, msr == MSR_GS_BASE ? (uint64_t)pcr : 0);
    this_cpu->self = pcr;
    this_cpu->cpu = cpu;
}

void cpu_init(void) {
    struct pcr *mine = &pcrs[2];
    gdt_fill(mine->gdt, &mine->tss);
    pcr_init(mine, 0);
}
