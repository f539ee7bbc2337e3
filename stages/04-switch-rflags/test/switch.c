/* switch.c: a switch to another task and back, seen from both sides.
 * SPDX-License-Identifier: MIT
 *
 * The tests run in the idle task; a thread that ends gives the CPU back to it. */
#include <kernel/sched.h>
#include <proof/selftest.h>

#define FLAGS (RFLAGS_DF | RFLAGS_AC | RFLAGS_ID)

uint64_t switch_stacks_with_flags(uint64_t *save_rsp, uint64_t load_rsp, uint64_t flags);

/* What a thread sees when it begins. */
static struct {
    unsigned count, id;
    uint64_t flags, rsp, rsp0, top, cr3;
} seen;

static void look_around(void) {
    seen.count++;
    seen.id = current()->id;
    seen.flags = read_rflags();
    seen.rsp = (uint64_t)__builtin_frame_address(0);
    seen.rsp0 = this_cpu->tss.rsp0;
    seen.top = current()->kernel_stack_top;
    seen.cr3 = read_cr3();
}

TEST(thread) {
    task_destroy(task_create()); /* a kernel stack is there, so no memory goes into one */
    uint64_t frames = frame_count_free(), switches = this_cpu->switches;
    struct task *idle = current(), *thread = thread_create(look_around);
    unsigned id = thread->id;
    seen.count = 0;
    task_start(this_cpu->self, thread);
    schedule();
    ok(seen.count == 1, "it runs once, before schedule() returns");
    ok(seen.id == id && current() == idle, "as itself, and then the idle task goes on");
    ok(seen.rsp0 == seen.top && seen.rsp < seen.top && seen.rsp > seen.top - KERNEL_STACK_SIZE,
       "on its own stack, where tss.rsp0 points");
    ok((seen.flags & RFLAGS_IF) && !(seen.flags & (RFLAGS_DF | RFLAGS_AC)), "with interrupts on, DF and AC clear");
    ok((seen.cr3 & PTE_ADDRESS) == kernel_cr3(), "with the kernel's own tables");
    ok(this_cpu->switches == switches + 2, "two switches were counted");
    ok(frame_count_free() == frames, "its memory comes back");
    ok(!(read_rflags() & RFLAGS_IF), "interrupts are off again, as they were");
}

TEST(flags_across_a_switch) {
    struct task *idle = current(), *thread = thread_create(look_around);
    task_start(this_cpu->self, thread);
    lock_acquire(&this_cpu->self->queue.lock);
    struct task *next = switch_begin();
    uint64_t found = switch_stacks_with_flags(&idle->rsp, next->rsp, FLAGS);
    switch_end();
    ok(next == thread, "the thread is next");
    ok(!(seen.flags & FLAGS), "DF, AC and ID of the task that is left do not reach the next");
    /* mutant kernel/switch.S: popfq => add rsp, 8 */
    ok((found & FLAGS) == FLAGS, "and are there when it goes on");
}

static unsigned order[4], ended;

static void take_turns(void) {
    unsigned id = current()->id;
    schedule();
    order[ended++] = id;
}

TEST(turns) {
    ended = 0;
    struct task *one = thread_create(take_turns), *other = thread_create(take_turns);
    unsigned first = one->id;
    task_start(this_cpu->self, one);
    task_start(this_cpu->self, other);
    for (int i = 0; i < 10 && ended < 2; i++)
        schedule();
    ok(ended == 2 && order[0] == first && order[1] == first + 1, "who waits longest runs next");
}

TEST(interrupts_behind_schedule) {
    task_start(this_cpu->self, thread_create(look_around));
    sti();
    schedule();
    bool on = read_rflags() & RFLAGS_IF;
    cli();
    /* mutant kernel/sched.c: if (flags & RFLAGS_IF) => if (flags & RFLAGS_DF) */
    ok(on, "they are on again, if they were");
}

TEST(run_queue_is_first_come_first_served) {
    static struct task tasks[3];
    struct run_queue queue = {};
    ok(!run_queue_take(&queue), "an empty one gives nobody");
    for (int round = 0; round < 2; round++) { /* the second time it has been used before */
        for (unsigned i = 0; i < 3; i++)
            run_queue_add(&queue, &tasks[i]);
        bool right = queue.length == 3;
        for (unsigned i = 0; i < 3; i++)
            right = right && run_queue_take(&queue) == &tasks[i];
        ok(right && !queue.length && !run_queue_take(&queue), "three come out as they went in");
    }
}
