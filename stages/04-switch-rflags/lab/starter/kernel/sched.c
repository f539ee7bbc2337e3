/* sched.c: whose turn it is. Called at each place where a task waits, and by user_return.c.
 * SPDX-License-Identifier: MIT
 *
 * Round robin. The run queue stays locked from the choice of the next task until that one runs and unlocks it, so no
 * other CPU can take the previous task out of the queue before its registers are saved. The kernel is not preempted in
 * ring 0: a switch happens only where it is called for, always with interrupts off.
 *
 * Lab 04: switch_to(), schedule() and switch_first_stack() are yours to write. */
#include <kernel/balance.h>

void sched_init(void) {
    uint64_t frame = frame_alloc();
    if (!frame)
        panic("no memory for an idle task");
    this_cpu->idle = phys_to_virt(frame);
    set_current(this_cpu->idle);
}

void run_queue_add(struct run_queue *queue, struct task *task) {
    task->next = NULL;
    if (queue->length++)
        queue->last->next = task;
    else
        queue->first = task;
    queue->last = task;
}

struct task *run_queue_take(struct run_queue *queue) {
    struct task *task = queue->first;
    if (task) {
        queue->first = task->next;
        queue->length--;
    }
    return task;
}

void sched_add(struct pcr *pcr, struct task *task) {
    uint64_t flags = lock_acquire(&pcr->queue.lock);
    run_queue_add(&pcr->queue, task);
    lock_release(&pcr->queue.lock, flags);
    balance_notify(pcr);
}

static struct run_queue *this_queue(void) { return &this_cpu->self->queue; }

/* Makes the next task this CPU's, but for the registers that switch_stacks() changes. Called with interrupts off and
 * the run queue locked. From here on that is so:
 *
 *   current()           the next task
 *   tss.rsp0            the top of its kernel stack (invariant 4); read by interrupts and by syscall_entry
 *   CR3                 its address space's. A thread of the kernel has none, nor has the idle task (space.cr3 is 0):
 *                       they run in the kernel's own tables, kernel_cr3(). Written only if it is another one than
 *                       what is loaded: each write empties the TLB.
 *   FPU, segment bases  the next task's, if it is a program; the previous one's are kept, if that is one
 *                       (user_state.c)
 *   this_cpu->dead      the previous task if it is dead, for switch_end() to bury; else NULL
 *   this_cpu->switches  one more
 */
static void switch_to(struct task *previous, struct task *next) { panic("lab 04: switch_to is yours to write"); }

struct task *switch_begin(void) {
    struct task *previous = current(), *next = run_queue_take(this_queue());
    this_cpu->need_switch = false;
    if (previous->state == TASK_READY) {
        if (!next)
            return NULL; /* nobody else waits */
        if (previous != this_cpu->idle)
            run_queue_add(this_queue(), previous);
    }
    next = next ? next : this_cpu->idle;
    switch_to(previous, next);
    return next;
}

void switch_end(void) {
    struct task *dead = this_cpu->dead;
    this_cpu->dead = NULL;
    /* This CPU's queue, which may not be the one on which this task was left. Behind the release the task before, if it
     * lives, may be another CPU's, and soon be gone: it must not be looked at. */
    lock_release(&this_queue()->lock, 0);
    if (dead)
        task_destroy(dead);
}

/* Lets somebody else run, if anybody waits; returns when it is this task's turn again.
 *
 *   lock this CPU's run queue;
 *   switch_begin() says who is next, or NULL if this task goes on;
 *   if there is somebody, switch_stacks(), which returns when it is this task's turn again;
 *   switch_end(), which unlocks the queue (whoever has locked it), but leaves interrupts off;
 *   interrupts as they were at the call: user_return() calls with them off, a system call with them on.
 *
 * What may lie in a local variable across the call of switch_stacks(), and what may not? */
void schedule(void) { panic("lab 04: schedule is yours to write"); }

/* With interrupts off from the decision to sleep until the switch, no tick can come between the two. */
void sched_sleep_until(uint64_t time) {
    struct task *task = current(), **at;
    cli();
    for (at = &this_cpu->self->sleepers; *at && (*at)->wake_time <= time; at = &(*at)->next)
        ;
    task->next = *at;
    *at = task;
    task->wake_time = time;
    task->state = TASK_SLEEPS;
    schedule();
    sti();
}

void sched_tick(void) {
    this_cpu->ticks++;
    uint64_t flags = lock_acquire(&this_queue()->lock), now = clock_now();
    struct task *task;
    while ((task = this_cpu->sleepers) && task->wake_time <= now) {
        this_cpu->sleepers = task->next;
        task->state = TASK_READY;
        run_queue_add(this_queue(), task);
    }
    this_cpu->need_switch = this_queue()->length > 0;
    lock_release(&this_queue()->lock, flags);
}

_Noreturn void sched_idle(void) {
    for (;;) {
        cli();
        if (READ_ONCE(this_queue()->length) || balance_pull())
            schedule();
        else /* STI takes effect behind the next instruction: an interrupt that comes after the test wakes this HLT. */
            __asm__ volatile("sti; hlt" : : : "memory");
    }
}

/* The stack of a task that has never run: as if it had called switch_stacks() just before its first instruction.
 * switch_stacks() then returns to `begin`, with rbx as given and RSP = top, and with flags in which a task can begin:
 * which ones? */
uint64_t switch_first_stack(uint64_t top, void (*begin)(void), uint64_t rbx) {
    panic("lab 04: switch_first_stack is yours to write");
}
