/* run_queue.c: the tasks that could run. Called by sched.c.
 * SPDX-License-Identifier: MIT */
#include <kernel/run_queue.h>
#include <kernel/task.h>

void run_queue_add(struct run_queue *queue, struct task *task)
{
    task->next = NULL;
    if (queue->last)
        queue->last->next = task;
    else
        queue->first = task;
    queue->last = task;
    queue->length++;
}

struct task *run_queue_take(struct run_queue *queue)
{
    struct task *task = queue->first;
    if (!task)
        return NULL;
    queue->first = task->next;
    if (!queue->first)
        queue->last = NULL;
    queue->length--;
    return task;
}
