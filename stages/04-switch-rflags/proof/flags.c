/* flags.c: two threads of the kernel, which always run; they switch with DF, AC and ID set, and with them clear.
 * SPDX-License-Identifier: MIT
 *
 * Every entry clears DF and AC, so no program can bring them to a switch: what PUSHFQ and POPFQ in switch_stacks() keep
 * apart are threads of the kernel. These two see to it that somebody would notice if they were gone. */
#include <kernel/sched.h>
#include <proof/proof.h>

#define ROUNDS 5
#define FLAGS  (RFLAGS_DF | RFLAGS_AC | RFLAGS_ID)

/* switch_stacks() with the given flags set at the call; returns those that it came back with, and clears them. */
uint64_t switch_stacks_with_flags(uint64_t *save_rsp, uint64_t load_rsp, uint64_t flags);

/* schedule(), but for the flags. */
static void schedule_with_flags(uint64_t flags) {
    struct task *previous = current();
    lock_acquire(&this_cpu->self->queue.lock);
    struct task *next = switch_begin();
    uint64_t found = flags;
    if (next)
        found = switch_stacks_with_flags(&previous->rsp, next->rsp, flags);
    switch_end();
    sti();
    if ((found & FLAGS) != flags)
        panic("a thread left with the flags 0x%lx and came back with 0x%lx", flags, found & FLAGS);
}

static void switch_often(uint64_t flags, const char *how) {
    for (int i = 0; i < ROUNDS; i++)
        schedule_with_flags(flags);
    printk("kernel thread %u: switched %u times with %s\n", current()->id, ROUNDS, how);
}

static void with_flags(void) { switch_often(FLAGS, "DF, AC and ID set, and kept them"); }

static void without_flags(void) { switch_often(0, "them clear, and never saw them"); }

static void flag_threads(void) {
    struct task *one = thread_create(with_flags), *other = thread_create(without_flags);
    if (!one || !other)
        printk("kernel threads: not enough memory for two\n");
    if (one)
        task_start(this_cpu->self, one);
    if (other)
        task_start(this_cpu->self, other);
}

PROOF(NULL, flag_threads);
