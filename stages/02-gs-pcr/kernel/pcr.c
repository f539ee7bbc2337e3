/* pcr.c: sets up a processor control region. Called by cpu.c, and by stage 05 for every other CPU.
 * SPDX-License-Identifier: MIT */
#include <kernel/pcr.h>
#include <kernel/x86.h>

void pcr_init(struct pcr *pcr, unsigned cpu)
{
    pcr->self = pcr;
    pcr->cpu = cpu;
    gdt_fill(pcr->gdt, &pcr->tss);
    tss_fill_ist(&pcr->tss);
    /* After the last load of the selector GS, which overwrites the base with the descriptor's, 0 for a null one. */
    gdt_load(pcr->gdt);
    wrmsr(MSR_GS_BASE, (uint64_t)pcr);
    /* What SWAPGS will exchange it for. Were it the PCR as well, a missing SWAPGS would go unnoticed. */
    wrmsr(MSR_KERNEL_GS_BASE, 0);
}
