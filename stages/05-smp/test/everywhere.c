/* everywhere.c: an interrupt of the tests' own that runs a function on every CPU.
 * SPDX-License-Identifier: MIT */
#include <kernel/smp.h>
#include <test/everywhere.h>

#define VECTOR_TEST 0x51
#define TIMEOUT     40000000000 /* ns */

static void (*running)(void);
static unsigned cpus, arrived, finished;
static uint64_t end;

/* Counts this CPU, and waits until all others are counted as well. False if time runs out. */
static bool meet(unsigned *count) {
    __atomic_fetch_add(count, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(count, __ATOMIC_ACQUIRE) < cpus) {
        pause();
        if (clock_now() > end)
            return false;
    }
    return true;
}

static bool run(void) {
    if (!meet(&arrived))
        return false;
    running();
    return meet(&finished);
}

static bool on_test(struct trap_frame *frame) {
    (void)frame;
    lapic_write(LAPIC_EOI, 0);
    run();
    return true;
}

unsigned count_cpus(void) {
    unsigned count = 0;
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next)
        count += pcr->presence == CPU_ONLINE;
    return count;
}

bool run_everywhere(void (*function)(void)) {
    end = clock_now() + TIMEOUT;
    running = function;
    cpus = count_cpus();
    arrived = finished = 0;
    trap_handle(VECTOR_TEST, on_test);
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next)
        if (pcr->presence == CPU_ONLINE && pcr != this_cpu->self)
            ipi_send(pcr->apic_id, ICR_FIXED | VECTOR_TEST);
    return run();
}
