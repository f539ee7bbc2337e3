/* current.h: what this CPU is doing, by way of its PCR. Each of these functions is one instruction with a GS prefix,
 * and none of them can reach another CPU's state.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/pcr.h>
#include <kernel/task.h>

static inline struct task *current(void) { return this_cpu->current; }

static inline void set_current(struct task *task) { this_cpu->current = task; }

/* Where the next entry from ring 3 begins to push. 16-byte aligned. */
static inline void set_kernel_stack(uint64_t top) { this_cpu->tss.rsp0 = top; }

static inline unsigned cpu_number(void) { return this_cpu->cpu; }

static inline void count_syscall(void) { this_cpu->syscalls++; }
