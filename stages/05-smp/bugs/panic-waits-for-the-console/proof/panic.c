/* panic.c: a thread that panics in the middle of a line, with the console locked.
 * SPDX-License-Identifier: MIT */
#include <kernel/sched.h>
#include <proof/proof.h>

static void fall(void) {
    printk("fall: I lock the console, and then I panic\n");
    lock_acquire(&console_lock);
    panic("provoked, with the console locked");
}

static void start(void) {
    struct task *thread = thread_create(fall);
    if (thread)
        task_start(this_cpu->self, thread);
}

PROOF(NULL, start);
