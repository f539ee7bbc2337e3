/* current.h: what this CPU is doing, by way of its PCR. Each of these functions is one instruction with a GS prefix,
 * and none of them can reach another CPU's state.
 * Lab 02: yours to write.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/pcr.h>
#include <kernel/task.h>

/* The task that this CPU runs. */
static inline struct task *current(void) { panic("lab 02: current() is yours to write"); }

static inline void set_current(struct task *task) { panic("lab 02: set_current() is yours to write"); }

/* Where the next entry from ring 3 begins to push. 16-byte aligned. */
static inline void set_kernel_stack(uint64_t top) { panic("lab 02: set_kernel_stack() is yours to write"); }

/* 0 ... CPUs - 1. */
static inline unsigned cpu_number(void) { panic("lab 02: cpu_number() is yours to write"); }

/* One more in this CPU's syscalls (cpu_state.h). */
static inline void count_syscall(void) { panic("lab 02: count_syscall() is yours to write"); }
