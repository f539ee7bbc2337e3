/* sched.c: whose turn it is. Called at each place where a task waits, and by user_return.c.
 * SPDX-License-Identifier: MIT
 *
 * Round robin. The run queue stays locked from the choice of the next task until that one runs and unlocks it, so no
 * other CPU can take the previous task out of the queue before its registers are saved. The kernel is not preempted in
 * ring 0: a switch happens only where it is called for, always with interrupts off. */
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

/* Makes the next task this CPU's, but for the registers that switch_stacks() changes. */
static void switch_to(struct task *previous, struct task *next) {
    uint64_t cr3 = next->space.cr3 ? next->space.cr3 : kernel_cr3();
    set_current(next);
    set_kernel_stack(next->kernel_stack_top); /* invariant 4; read by interrupts and by syscall_entry */
    if (cr3 != read_cr3())
        write_cr3(cr3); /* and only then: it empties the TLB */
    if (previous->space.cr3)
        user_state_save(&previous->user);
    if (next->space.cr3)
        user_state_load(&next->user);
    this_cpu->dead = previous->state == TASK_DEAD ? previous : NULL;
    this_cpu->switches++;
}

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

void schedule(void) {
    struct task *previous = current();
    uint64_t flags = lock_acquire(&this_queue()->lock);
    struct task *next = switch_begin();
    if (next)
        switch_stacks(&previous->rsp, next->rsp);
    switch_end();
    if (flags & RFLAGS_IF) /* this task's own, from before it was left */
        sti();
}

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

uint64_t switch_first_stack(uint64_t top, void (*begin)(void), uint64_t rbx) {
    struct {
        uint64_t rflags, r15, r14, r13, r12, rbp, rbx;
        void (*return_address)(void);
    } *stack = (void *)(top - sizeof(*stack));
    /* Without IF: interrupts stay off until the run queue is unlocked. */
    *stack = (__typeof__(*stack)){.rflags = RFLAGS_ONE, .rbx = rbx, .return_address = begin};
    return (uint64_t)stack;
}
