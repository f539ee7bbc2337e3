/* cpu.c: the PCR between two pages that are not there.
 * SPDX-License-Identifier: MIT */
#include <kernel/pcr.h>

static struct {
    char below[PAGE_SIZE];
    struct pcr pcr;
    char above[PAGE_SIZE];
} __attribute__((aligned(PAGE_SIZE))) fenced;

static void unmap(uint64_t page) {
    uint64_t *entry = page_entry(kernel_pml4, page, 1, false);
    if (!entry)
        panic("the page beside the PCR has no entry of its own");
    (void)*(volatile char *)page;
    *entry = 0;
}

void pcr_init(struct pcr *pcr, unsigned cpu) {
    pcr->self = pcr;
    pcr->cpu = cpu;
    gdt_load(pcr->gdt);
    wrmsr(MSR_GS_BASE, (uint64_t)pcr);
    wrmsr(MSR_KERNEL_GS_BASE, 0);
}

void cpu_init(void) {
    unmap((uint64_t)fenced.below);
    unmap((uint64_t)fenced.above);
    gdt_fill(fenced.pcr.gdt, &fenced.pcr.tss);
    pcr_init(&fenced.pcr, 0);
}
