/* run_queue.h: the tasks that could run, first come, first served. Each CPU has one, in its PCR.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/lock.h>

struct task;

struct run_queue {
    struct lock lock;
    struct task *first, *last; /* linked by task->next */
    unsigned length;
};

/* Both with the lock held. run_queue_take() returns NULL if nobody waits. */
void run_queue_add(struct run_queue *queue, struct task *task);
struct task *run_queue_take(struct run_queue *queue);
