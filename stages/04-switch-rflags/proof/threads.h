/* threads.h: threads of the kernel. Nothing in the kernel needs one; they prove that the switch keeps RFLAGS, and the
 * tests use them.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/sched.h>

/* A task without a program, which runs the function in ring 0 with interrupts on, and ends when that returns. For
 * task_start(). NULL without memory. */
struct task *thread_create(void (*function)(void));
