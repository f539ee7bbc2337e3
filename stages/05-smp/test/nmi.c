/* nmi.c: real NMIs, from CPU to CPU and to oneself.
 * SPDX-License-Identifier: MIT */
#include <proof/selftest.h>
#include <kernel/smp.h>

#define TIMEOUT 2000000000 /* ns */

static bool wait_for_nmi(const struct pcr *pcr, uint64_t before) {
    for (uint64_t end = clock_now() + TIMEOUT; READ_ONCE(pcr->nmis) == before;)
        if (clock_now() > end)
            return false;
    return pcr->nmis == before + 1;
}

TEST(nmi_to_every_other_cpu) {
    unsigned sent = 0, arrived = 0;
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next) {
        if (pcr->presence != CPU_ONLINE || pcr == this_cpu->self)
            continue;
        uint64_t before = pcr->nmis;
        ipi_send(pcr->apic_id, ICR_NMI);
        sent++;
        arrived += wait_for_nmi(pcr, before);
    }
    ok(arrived == sent, "each is counted once, by the CPU that it was sent to");
}

/* Between the two writes GS base is 0, as if a program had entered and SWAPGS were still to come. */
TEST(nmi_to_oneself_without_a_pcr) {
    struct pcr *pcr = this_cpu->self;
    uint64_t before = pcr->nmis;
    wrmsr(MSR_GS_BASE, 0);
    ipi_send(pcr->apic_id, ICR_NMI);
    bool came = wait_for_nmi(pcr, before);
    uint64_t base = rdmsr(MSR_GS_BASE);
    wrmsr(MSR_GS_BASE, (uint64_t)pcr);
    /* mutant kernel/ipi.c: this_cpu->nmis++; => */
    ok(came, "it arrives");
    ok(base == 0, "and leaves GS base as it was");
}
