/* flags.c: in place of the stage's own threads, one on CPU 0 that ends at once. While it waits to run, the program goes
 * to CPU 1; afterwards CPU 0 is idle.
 * SPDX-License-Identifier: MIT */
#include <kernel/sched.h>
#include <proof/proof.h>

static void nothing(void) {}

static void start(void) {
    struct task *thread = thread_create(nothing);
    if (thread)
        task_start(this_cpu->self, thread);
}

PROOF(NULL, start);
