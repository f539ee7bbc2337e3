/* worker.c: a thread that waits until the programs have ended, and then needs memory.
 * SPDX-License-Identifier: MIT */
#include <kernel/sched.h>
#include <proof/proof.h>

#define TURNS  50
#define FRAMES 64

static void worker(void) {
    uint64_t frames[FRAMES];
    for (int i = 0; i < TURNS; i++)
        schedule();
    printk("worker: the programs have ended, and I take %u frames of memory\n", FRAMES);
    for (unsigned i = 0; i < FRAMES; i++)
        frames[i] = frame_alloc();
    for (unsigned i = 0; i < FRAMES; i++)
        frame_free(frames[i]);
    printk("worker: all is well\n");
}

static void start(void) {
    struct task *thread = thread_create(worker);
    if (thread)
        task_start(this_cpu->self, thread);
}

PROOF(NULL, start);
