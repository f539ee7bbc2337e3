/* balance.c: spreads the tasks over the CPUs. Called by sched.c.
 * SPDX-License-Identifier: MIT
 *
 * A task in a queue is not running anywhere, and its registers are saved: the queue's lock was held until they were. So
 * another CPU may take it out. No CPU ever holds the locks of two queues. */
#include <kernel/smp.h>

static unsigned load(const struct pcr *pcr) {
    return READ_ONCE(pcr->queue.length) + (READ_ONCE(pcr->current) != pcr->idle);
}

struct pcr *balance_choose(void) {
    struct pcr *best = smp_first;
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next)
        if (pcr->presence == CPU_ONLINE && load(pcr) < load(best))
            best = pcr;
    return best;
}

void balance_notify(struct pcr *pcr) {
    if (pcr != this_cpu->self)
        ipi_send(pcr->apic_id, ICR_FIXED | VECTOR_RESCHEDULE);
}

bool balance_pull(void) {
    struct pcr *longest = this_cpu->self;
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next)
        if (READ_ONCE(pcr->queue.length) > READ_ONCE(longest->queue.length))
            longest = pcr;
    /* Where others are at it already, wait for the next tick: 64 idle CPUs would stand before the one that works. */
    if (longest == this_cpu->self || lock_is_taken(&longest->queue.lock))
        return false;
    uint64_t flags = lock_acquire(&longest->queue.lock);
    struct task *task = longest->queue.first; /* threads of the kernel stay where they were started */
    task = task && task->space.cr3 ? run_queue_take(&longest->queue) : NULL;
    lock_release(&longest->queue.lock, flags);
    if (task)
        sched_add(this_cpu->self, task);
    return task;
}

void balance_report(void) {
    printk("cpu  apic id  pcr                 ticks  switches  system calls\n");
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next)
        if (pcr->presence == CPU_ONLINE)
            printk("%3u  %7u  0x%016lx %6lu  %8lu  %12lu\n", pcr->cpu, pcr->apic_id, (uint64_t)pcr, pcr->ticks,
                   pcr->switches, pcr->syscalls);
}
