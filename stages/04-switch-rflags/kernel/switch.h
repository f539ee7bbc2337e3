/* switch.h: from one task to the next. The three parts of a switch, for schedule() and for flag_threads.c.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/task.h>

/* Picks the next task, with this CPU's run queue locked and interrupts off, and loads all of it that C can: kernel
 * stack, CR3, FPU, segment bases. Returns it, or NULL if the current task goes on. */
struct task *switch_begin(void);

/* The moment itself (switch.S): returns in the task whose RSP is load_rsp, when it is that one's turn. */
void switch_stacks(uint64_t *save_rsp, uint64_t load_rsp);

/* In the next task: buries the previous one if it is dead, and unlocks this CPU's run queue. Interrupts stay off. */
void switch_end(void);

/* Builds the stack of a task that has never run, below top: switch_stacks() will return to `begin`, with rbx set. Returns
 * the RSP to load. */
uint64_t switch_first_stack(uint64_t top, void (*begin)(void), uint64_t rbx);

/* Where new tasks begin (switch.S): a program with its frame on the stack; a thread with its function in rbx. */
void task_begin(void);
void thread_begin(void);
