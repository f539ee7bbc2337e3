/* sched.h: whose turn it is.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/task.h>

/* Makes the running code this CPU's idle task. On every CPU, before anything else of this file. Panics without memory. */
void sched_init(void);

/* Lets a task run that did not until now. */
void sched_add(struct task *task);

/* Lets somebody else run, if anybody waits; returns when it is this task's turn again. A task that sleeps is not ready
 * by itself, a dead one never. */
void schedule(void);

/* Sleeps at least until the given time, in ns since boot. */
void sched_sleep_until(uint64_t time);

/* Once a tick, by timer.c, with interrupts off. */
void sched_tick(void);

/* What the idle task does for ever. */
_Noreturn void sched_idle(void);
