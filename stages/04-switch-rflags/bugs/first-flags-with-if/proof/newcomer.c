/* newcomer.c: a thread that starts another one just when a tick is due.
 * SPDX-License-Identifier: MIT */
#include <kernel/sched.h>
#include <proof/proof.h>

#define TWO_TICKS 20000000 /* ns */

static void newcomer(void) { printk("newcomer: I run, and have begun with interrupts off\n"); }

static void starter(void) {
    struct task *thread = thread_create(newcomer);
    if (!thread)
        return;
    cli();
    clock_delay(TWO_TICKS);
    printk("starter: a tick is due and waits; now a new thread begins\n");
    task_start(this_cpu->self, thread);
    schedule();
    sti();
}

static void start(void) {
    struct task *thread = thread_create(starter);
    if (thread)
        task_start(this_cpu->self, thread);
}

PROOF(NULL, start);
