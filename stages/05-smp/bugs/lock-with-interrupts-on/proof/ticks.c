/* ticks.c: a thread that locks the run queue often, with a tick each time, a little later than the time before.
 * SPDX-License-Identifier: MIT */
#include <proof/proof.h>
#include <proof/sweep.h>

#define LAST 3000 /* counts: behind all that happens here */

static void be_interrupted_often(void) {
    sweep_begin();
    printk("ticks: %u ticks, one count later each time\n", LAST);
    for (uint32_t n = 1; n <= LAST; n++) {
        uint64_t ticks = this_cpu->ticks;
        sweep_arm(VECTOR_TIMER, n);
        schedule();
        while (READ_ONCE(this_cpu->self->ticks) == ticks)
            pause();
    }
    sweep_end();
    printk("ticks: all went well\n");
}

static void start(void) {
    struct task *thread = thread_create(be_interrupted_often);
    if (thread)
        task_start(this_cpu->self, thread);
}

PROOF(NULL, start);
