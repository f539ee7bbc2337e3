/* naps.c: a thread that sleeps often, for no time at all, so that the next tick should wake it. The tick comes a little
 * later each time on the thread's way there; a second one follows much later, for those who were not asleep yet.
 * SPDX-License-Identifier: MIT */
#include <proof/proof.h>
#include <proof/sweep.h>

#define VECTOR_TICK 0x52
#define LAST        3000   /* counts: behind all that happens here */
#define SECOND_TICK 100000 /* counts */

static bool tick(struct trap_frame *frame) {
    lapic_write(LAPIC_EOI, 0);
    sched_tick();
    sweep_arm(VECTOR_TICK, SECOND_TICK);
    return true;
}

static void sleep_often(void) {
    sweep_begin();
    trap_handle(VECTOR_TICK, tick);
    printk("naps: %u of them, each with a tick one count later\n", LAST);
    for (uint32_t n = 1; n <= LAST; n++) {
        sweep_arm(VECTOR_TICK, n);
        sched_sleep_until(clock_now());
        lapic_write(LAPIC_TIMER_INITIAL, 0);
    }
    sweep_end();
    printk("naps: I have woken from each of them\n");
}

static void start(void) {
    struct task *thread = thread_create(sleep_often);
    if (thread)
        task_start(this_cpu->self, thread);
}

PROOF(NULL, start);
