/* everywhere.c: an interrupt of the tests' own that runs a function on every CPU.
 * SPDX-License-Identifier: MIT */
#include <kernel/smp.h>
#include <test/everywhere.h>

#define VECTOR_TEST 0x51
#define TIMEOUT     20000000000 /* ns */

static void (*running)(void);
static unsigned finished;

static bool on_test(struct trap_frame *frame) {
    (void)frame;
    lapic_eoi();
    running();
    __atomic_fetch_add(&finished, 1, __ATOMIC_RELEASE);
    return true;
}

unsigned count_cpus(void) {
    unsigned count = 0;
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next)
        count += pcr->online;
    return count;
}

bool run_everywhere(void (*function)(void)) {
    uint64_t end = clock_now() + TIMEOUT;
    running = function;
    finished = 0;
    trap_handle(VECTOR_TEST, on_test);
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next)
        if (pcr->online && pcr != this_cpu->self)
            ipi_send(pcr->apic_id, ICR_FIXED | VECTOR_TEST);
    function();
    while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) < count_cpus() - 1)
        if (clock_now() > end)
            return false;
    return true;
}
