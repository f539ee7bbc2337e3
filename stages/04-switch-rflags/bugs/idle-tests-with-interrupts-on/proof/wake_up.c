/* wake_up.c: a thread that is woken by an interrupt, again and again, each time a little later on the CPU's way into
 * its idle loop. When nobody runs it, a second interrupt comes to its rescue, and is counted.
 * SPDX-License-Identifier: MIT */
#include <proof/proof.h>
#include <proof/sweep.h>

#define VECTOR_WAKE 0x52
#define LAST        3000   /* counts: well into the idle loop */
#define RESCUE      100000 /* counts: much later than any wake-up should take */

static struct task *sleeper;
static bool rescued;

/* What sched_tick() does for a task whose time has come. */
static bool wake(struct trap_frame *frame) {
    lapic_write(LAPIC_EOI, 0);
    if (!sleeper) {
        rescued = true;
        return true;
    }
    uint64_t flags = lock_acquire(&this_cpu->self->queue.lock);
    sleeper->state = TASK_READY;
    run_queue_add(&this_cpu->self->queue, sleeper);
    lock_release(&this_cpu->self->queue.lock, flags);
    sleeper = NULL;
    sweep_arm(VECTOR_WAKE, RESCUE);
    return true;
}

static void sleep_and_be_woken(uint32_t counts) {
    cli();
    rescued = false;
    sleeper = current();
    sleeper->state = TASK_SLEEPS;
    sweep_arm(VECTOR_WAKE, counts);
    schedule();
    lapic_write(LAPIC_TIMER_INITIAL, 0);
    sti();
}

static void be_woken_often(void) {
    uint32_t lost = 0, first = 0, last = 0;
    sweep_begin();
    trap_handle(VECTOR_WAKE, wake);
    for (uint32_t n = 1; n <= LAST; n++) {
        sleep_and_be_woken(n);
        if (!rescued)
            continue;
        first = lost++ ? first : n;
        last = n;
    }
    sweep_end();
    if (lost)
        printk("wake-up: lost %u times of %u, with the interrupt between %u and %u counts\n", lost, LAST, first, last);
    else
        printk("wake-up: %u interrupts, one count later each time, and none was lost\n", LAST);
}

static void start(void) {
    struct task *thread = thread_create(be_woken_often);
    if (thread)
        task_start(this_cpu->self, thread);
}

PROOF(NULL, start);
