/* balance.h: which CPU runs a task.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/sched.h>

/* The CPU for a new task. */
struct pcr *balance_choose(void);

/* Tells a CPU that there is a task in its queue. */
void balance_notify(struct pcr *pcr);

/* For a CPU without work: takes over a task that waits elsewhere. True if there is one in its queue now. */
bool balance_pull(void);

/* Prints what each CPU has done. */
void balance_report(void);
