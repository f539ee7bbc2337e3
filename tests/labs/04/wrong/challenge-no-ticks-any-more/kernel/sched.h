/* sched.h: whose turn it is, the three parts of a switch, and the clock.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/current.h>

/* Makes the running code this CPU's idle task. On every CPU, before anything else of this file. Panics without
 * memory. */
void sched_init(void);

/* Makes a new task ready to run on that CPU: a program from task->start on (task.c). */
void task_start(struct pcr *pcr, struct task *task);

/* Lets a task run on that CPU, which did not run until now, or only elsewhere. */
void sched_add(struct pcr *pcr, struct task *task);

/* Sleeps at least until the given time, in ns since power-on. */
void sched_sleep_until(uint64_t time);

/* Once a tick, by clock.c, with interrupts off. */
void sched_tick(void);

/* What the idle task does for ever. */
_Noreturn void sched_idle(void);

/* Both with the queue's lock held. run_queue_take() returns NULL if nobody waits. */
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

/* Where a task begins (task_begin.S): a program's, with its frame on the stack; a thread's, with its function in
 * rbx. */
void task_begin(void);
void thread_begin(void);

/* clock.c: time since power-on, by the CPU's time-stamp counter, and the tick, by which nobody runs for ever. */

/* Measures the time-stamp counter and the local APIC's timer. Once, on the boot CPU. */
void clock_init(void);

/* Nanoseconds since power-on. */
uint64_t clock_now(void);

/* Waits, with interrupts as they are. */
void clock_delay(uint64_t nanoseconds);

/* For a CPU that halts: no tick, but one interrupt at that time; none for UINT64_MAX. */
void clock_wake_at(uint64_t time);

/* Starts this CPU's tick. */
void clock_start_ticks(void);
