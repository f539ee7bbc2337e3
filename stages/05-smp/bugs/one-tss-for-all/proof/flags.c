/* flags.c: in place of the stage's own threads, one that keeps CPU 0 from pulling the program over, until CPU 1 runs
 * it. rsp0 is 0 meanwhile, as it is while CPU 0 is idle, and afterwards.
 * SPDX-License-Identifier: MIT */
#include <kernel/smp.h>
#include <proof/proof.h>

#define TIMEOUT 3000000000 /* ns */

static void wait_for_cpu_1(void) {
    const struct pcr *other = smp_first->next;
    set_kernel_stack(0);
    for (uint64_t end = clock_now() + TIMEOUT; READ_ONCE(other->current) == other->idle && clock_now() < end;)
        pause();
}

static void start(void) {
    struct task *thread = smp_first->next ? thread_create(wait_for_cpu_1) : NULL;
    if (thread)
        task_start(this_cpu->self, thread);
}

PROOF(NULL, start);
