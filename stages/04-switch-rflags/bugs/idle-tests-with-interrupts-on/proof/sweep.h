/* sweep.h: the local APIC's timer as a one-shot, to interrupt at a chosen distance; and back to the tick. Counts are
 * the shortest that there are: in Bochs one is one instruction, in QEMU with --icount 16 are.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/lapic.h>
#include <kernel/sched.h>

enum { SWEEP_DIVIDE_BY_1 = 0xb, SWEEP_DIVIDE_BY_16 = 3 };

/* Behind so many counts there is one interrupt. */
static inline void sweep_arm(unsigned vector, uint32_t counts) {
    lapic_write(LAPIC_TIMER_DIVIDE, SWEEP_DIVIDE_BY_1);
    lapic_write(LAPIC_LVT_TIMER, vector);
    lapic_write(LAPIC_TIMER_INITIAL, counts);
}

/* Lets all others run that want to, and ends the tick: from here on there is nothing but what sweep_arm() asks for. */
static inline void sweep_begin(void) {
    lapic_write(LAPIC_TIMER_INITIAL, 0);
    while (READ_ONCE(this_cpu->self->queue.length))
        schedule();
}

static inline void sweep_end(void) {
    lapic_write(LAPIC_TIMER_DIVIDE, SWEEP_DIVIDE_BY_16);
    clock_start_ticks();
}
