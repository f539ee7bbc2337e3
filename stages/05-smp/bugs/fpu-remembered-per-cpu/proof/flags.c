/* flags.c: in place of the stage's own threads, one on each of two CPUs, which sends a program that has had a turn
 * there to the other CPU. So a program that gives way again and again runs on both in turns.
 * SPDX-License-Identifier: MIT */
#include <kernel/smp.h>
#include <proof/proof.h>

#define MOVES 20

static unsigned moves;

/* The program that waits here, if there is one. */
static struct task *take_program(void) {
    struct run_queue *queue = &this_cpu->self->queue;
    uint64_t flags = lock_acquire(&queue->lock);
    struct task *task = queue->first;
    task = task && task->space.cr3 ? run_queue_take(queue) : NULL;
    lock_release(&queue->lock, flags);
    return task;
}

static void mover(void) {
    struct pcr *other = this_cpu->cpu ? smp_first : smp_first->next;
    while (READ_ONCE(moves) < MOVES) {
        uint64_t calls = this_cpu->syscalls;
        schedule();
        struct task *task = this_cpu->syscalls != calls ? take_program() : NULL;
        if (!task)
            continue; /* nobody has had a turn, or not long enough */
        __atomic_fetch_add(&moves, 1, __ATOMIC_RELAXED);
        sched_add(other, task);
    }
}

static void start(void) {
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next) {
        struct task *thread = pcr->cpu < 2 ? thread_create(mover) : NULL;
        if (thread)
            task_start(pcr, thread);
    }
}

PROOF(NULL, start);
