/* cpu.c: sets up a processor control region. Called by main.c for the boot CPU, by stage 05 for every other one.
 * SPDX-License-Identifier: MIT */
#include <kernel/pcr.h>

static struct pcr boot_pcr; /* in the image, because it is needed before memory can be had */

_Static_assert(offsetof(struct pcr, canary) == 192, "-mstack-protector-guard-offset says so");

/* A number that a program cannot guess, as far as this machine has one. */
static uint64_t draw(void) {
    uint64_t number = rdtsc() * 0x9e3779b97f4a7c15;
    uint32_t features[4];
    cpuid(1, features);
    if (features[2] & 1 << 30) /* RDRAND */
        __asm__ volatile("rdrand %0" : "=r"(number) : : "cc");
    return number & ~0xfful; /* a string that runs over ends at the 0, and so cannot copy the canary */
}

/* Before any function that looks at the canary: until then GS base is 0, and nothing is mapped there. It must not look
 * itself, nor change what its callers are to find when they return: kernel_main() does not return. */
__attribute__((no_stack_protector)) void canary_init(void) {
    wrmsr(MSR_GS_BASE, (uint64_t)&boot_pcr);
    boot_pcr.canary = draw();
}

_Noreturn void __stack_chk_fail(void) { panic("a stack buffer ran over: the canary is dead"); }

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
