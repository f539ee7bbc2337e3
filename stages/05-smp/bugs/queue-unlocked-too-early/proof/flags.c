/* flags.c: in place of the stage's own threads, one on CPU 1 that takes programs out of CPU 0's queue, as an idle
 * CPU does. What lies in a queue does not run, and its registers are saved. Instead of running what it has taken, it
 * looks whether that is so: it puts 0 in the place of the task's RSP, and waits for somebody to save one there.
 * SPDX-License-Identifier: MIT */
#include <kernel/smp.h>
#include <proof/proof.h>

#define MOST      500
#define LOOKS     10000     /* for one task */
#define ALL_LOOKS 100000000 /* counted, since a clock goes on while a busy host keeps the other CPU waiting */
#define MOMENT    200000    /* ns: more than a switch takes */

static volatile bool done;
static unsigned looks;

/* Takes the lock if it is free. Who waited for it with a ticket would still wait while a walk keeps CPU 0 standing. */
static bool try_lock(struct lock *lock) {
    uint32_t called = __atomic_load_n(&lock->called, __ATOMIC_ACQUIRE);
    return __sync_bool_compare_and_swap(&lock->next, called, called + 1);
}

/* Looks without a pause, so that it comes as soon as the lock is free; if it is not, as an idle CPU, does not wait. */
static struct task *take(struct run_queue *queue, uint64_t *rsp) {
    for (unsigned end = looks + LOOKS; looks++ < end && (lock_is_taken(&queue->lock) || !READ_ONCE(queue->length));)
        ;
    uint64_t flags = read_rflags();
    cli();
    struct task *task = NULL;
    if (try_lock(&queue->lock)) {
        task = queue->first && queue->first->space.cr3 ? run_queue_take(queue) : NULL;
        if (task)
            *rsp = __atomic_exchange_n(&task->rsp, 0, __ATOMIC_ACQ_REL);
        lock_release(&queue->lock, 0);
    }
    if (flags & RFLAGS_IF)
        sti();
    return task;
}

/* Waits for a switch that is not over to save the RSP. For the walk it has a name. */
__attribute__((noinline)) void thief_has(struct task *task);
__attribute__((noinline)) void thief_has(struct task *task) {
    if (task)
        clock_delay(MOMENT);
}

static void thief(void) {
    unsigned taken = 0, too_early = 0;
    while (taken < MOST && looks < ALL_LOOKS) {
        uint64_t rsp;
        struct task *task = take(&smp_first->queue, &rsp);
        thief_has(task);
        if (!task)
            continue;
        taken++;
        too_early += !__sync_bool_compare_and_swap(&task->rsp, 0, rsp);
        sched_add(smp_first, task);
    }
    done = true;
    printk("thief: took %u times a program; its registers were saved %s\n", taken,
           !taken      ? "at any time"
           : too_early ? "only afterwards, some times"
                       : "before, each time");
}

/* Somebody to whom the program can give way on CPU 0. */
static void partner(void) {
    while (!done)
        schedule();
}

static void start(void) {
    struct task *one = thread_create(partner), *other = thread_create(thief);
    if (!one || !other || !smp_first->next)
        return;
    task_start(smp_first, one);
    task_start(smp_first->next, other);
}

PROOF(NULL, start);
