/* current.h: what this CPU is doing. One CPU, so global variables will do, for now: each is reached at a fixed address,
 * and two CPUs would overwrite each other's. Stage 02 replaces this file.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/gdt.h>
#include <kernel/task.h>

extern struct tss cpu_tss;
extern struct task *current_task;
extern uint64_t syscall_count;

static inline struct task *current(void) { return current_task; }

static inline void set_current(struct task *task) { current_task = task; }

/* Where the next entry from ring 3 begins to push. 16-byte aligned. */
static inline void set_kernel_stack(uint64_t top) { cpu_tss.rsp0 = top; }

static inline unsigned cpu_number(void) { return 0; }

static inline void count_syscall(void) { syscall_count++; }
