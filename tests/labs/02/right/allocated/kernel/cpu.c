/* cpu.c: the PCR in a frame.
 * SPDX-License-Identifier: MIT */
#include <kernel/pcr.h>

void pcr_init(struct pcr *pcr, unsigned cpu) {
    *pcr = (struct pcr){.self = pcr, .cpu = cpu};
    gdt_fill(pcr->gdt, &pcr->tss);
    gdt_load(pcr->gdt);
    wrmsr(MSR_KERNEL_GS_BASE, 0);
    wrmsr(MSR_GS_BASE, (uint64_t)pcr);
}

void cpu_init(void) {
    uint64_t frame = frame_alloc();
    if (!frame)
        panic("no memory for the PCR");
    pcr_init(phys_to_virt(frame), 0);
}
