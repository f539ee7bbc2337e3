/* storm.c: CPU 0 sends NMIs to CPU 1, as fast as it can, and then looks whether that one still has its ticks.
 * Breakpoints in the kernel are caught, as a debugger would.
 * SPDX-License-Identifier: MIT */
#include <kernel/smp.h>
#include <proof/proof.h>

#define NMIS     1000
#define MOMENT   1000000    /* ns */
#define PATIENCE 3000000000 /* ns */

/* A breakpoint takes its time: a debugger looks at the machine, and prints. */
static bool on_breakpoint(struct trap_frame *frame) {
    clock_delay(MOMENT);
    return !from_user(frame);
}

static void storm(void) {
    struct pcr *other = smp_first->next;
    trap_handle(VECTOR_BP, on_breakpoint);
    while (READ_ONCE(other->current) != other->idle)
        schedule(); /* its program shall end first */
    uint64_t end = clock_now() + PATIENCE, ticks = READ_ONCE(other->ticks);
    while (READ_ONCE(other->ticks) < ticks + 2)
        pause();
    while (READ_ONCE(other->nmis) < NMIS && clock_now() < end) {
        cli();
        ipi_send(other->apic_id, ICR_NMI);
        sti();
    }
    ticks = READ_ONCE(other->ticks);
    end = clock_now() + PATIENCE;
    while (READ_ONCE(other->ticks) < ticks + 2 && clock_now() < end)
        pause();
    if (READ_ONCE(other->ticks) < ticks + 2)
        printk("storm: CPU 1 has no ticks any more; it does not come out of its NMI\n");
    else
        printk("storm: CPU 1 has taken %u NMIs and more, and has its ticks\n", NMIS);
}

static void start(void) {
    struct task *thread = smp_first->next ? thread_create(storm) : NULL;
    if (thread)
        task_start(smp_first, thread);
}

PROOF(NULL, start);
