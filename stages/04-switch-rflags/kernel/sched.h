/* sched.h: whose turn it is, and the three parts of a switch.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/clock.h>
#include <kernel/current.h>

/* Makes the running code this CPU's idle task. On every CPU, before anything else of this file. Panics without
 * memory. */
void sched_init(void);

/* Lets a task run that did not until now. */
void sched_add(struct task *task);

/* Sleeps at least until the given time, in ns since boot. */
void sched_sleep_until(uint64_t time);

/* Once a tick, by clock.c, with interrupts off. */
void sched_tick(void);

/* What the idle task does for ever. */
_Noreturn void sched_idle(void);

/* Both with the queue's lock held. run_queue_take() returns NULL if nobody waits. */
struct run_queue;
void run_queue_add(struct run_queue *queue, struct task *task);
struct task *run_queue_take(struct run_queue *queue);

/* Picks the next task, with this CPU's run queue locked and interrupts off, and loads all of it that C can: kernel
 * stack, CR3, FPU, segment bases. Returns it, or NULL if the current task goes on. */
struct task *switch_begin(void);

/* The moment itself (switch.S): returns in the task whose RSP is load_rsp, when it is that one's turn. */
void switch_stacks(uint64_t *save_rsp, uint64_t load_rsp);

/* In the next task: unlocks this CPU's run queue, and buries the previous task if it is dead. Interrupts stay off. */
void switch_end(void);

/* Builds the stack of a task that has never run, below top: switch_stacks() will return to `begin`, with rbx set.
 * Returns the RSP to load. */
uint64_t switch_first_stack(uint64_t top, void (*begin)(void), uint64_t rbx);

/* Where new tasks begin (switch.S): a program with its frame on the stack; a thread with its function in rbx. */
void task_begin(void);
void thread_begin(void);

/* Starts two threads of the kernel that watch over RFLAGS (flag_threads.c). */
void flag_threads_start(void);
