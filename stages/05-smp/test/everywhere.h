/* everywhere.h: runs a function on every CPU, by an interrupt.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/smp.h>

/* On each CPU, this one too, all at the same time, with interrupts off. False if one does not come, or does not come to
 * its end, in time. */
bool run_everywhere(void (*function)(void));

/* How many CPUs take part. */
unsigned count_cpus(void);
