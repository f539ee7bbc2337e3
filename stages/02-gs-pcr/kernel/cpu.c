/* cpu.c: sets up a processor control region. Called by main.c for the boot CPU, by stage 05 for every other one.
 * SPDX-License-Identifier: MIT */
#include <kernel/pcr.h>

static struct pcr boot_pcr; /* in the image, because it is needed before memory can be had */

void pcr_init(struct pcr *pcr, unsigned cpu) {
    pcr->self = pcr;
    pcr->cpu = cpu;
    /* After the last load of the selector GS, which overwrites the base with the descriptor's, 0 for a null one. */
    gdt_load(pcr->gdt);
    wrmsr(MSR_GS_BASE, (uint64_t)pcr);
    /* What SWAPGS will exchange it for. Were it the PCR as well, a missing SWAPGS would go unnoticed. */
    wrmsr(MSR_KERNEL_GS_BASE, 0);
}

void cpu_init(void) {
    gdt_fill(boot_pcr.gdt, &boot_pcr.tss);
    pcr_init(&boot_pcr, 0);
}
