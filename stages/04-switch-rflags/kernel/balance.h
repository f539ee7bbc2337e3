/* balance.h: which CPU runs a task. There is one; stage 05 replaces this file.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/sched.h>

/* The CPU for a new task. */
static inline struct pcr *balance_choose(void) { return this_cpu->self; }

/* Tells a CPU that there is a task in its queue. */
static inline void balance_notify(struct pcr *pcr) {}

/* For a CPU without work: takes over a task that waits elsewhere. True if there is one in its queue now. */
static inline bool balance_pull(void) { return false; }

/* Prints what each CPU has done. */
static inline void balance_report(void) {
    printk("CPU %u: %lu ticks, %lu switches, %lu system calls\n", this_cpu->cpu, this_cpu->ticks, this_cpu->switches,
           this_cpu->syscalls);
}
