/* panics.c: panics in states that are as bad as they come. Started by words, for the runs of tools/ablate.
 * SPDX-License-Identifier: MIT */
#include <kernel/lapic.h>
#include <kernel/sched.h>
#include <proof/proof.h>

#define COUNTS 1499 /* of the timer from tick to tick */

/* With the run queue locked, which each tick wants as well, and interrupts on. */
static void panic_with_a_lock(void) {
    lapic_write(LAPIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TIMER);
    lapic_write(LAPIC_TIMER_INITIAL, COUNTS);
    lock_acquire(&this_cpu->self->queue.lock);
    __asm__ volatile("sti" : : : "memory");
    panic("a lock is held, and ticks come");
}

PROOF("panic-locked", panic_with_a_lock);

/* With a GS base that leads nowhere. */
static void panic_without_a_pcr(void) {
    wrmsr(MSR_GS_BASE, 0x1000);
    panic("the GS base leads nowhere");
}

PROOF("panic-gs", panic_without_a_pcr);
