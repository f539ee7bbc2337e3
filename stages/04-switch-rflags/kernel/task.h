/* task.h: what runs, in turns with others: a program, or a thread of the kernel.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/address_space.h>
#include <kernel/program.h>
#include <kernel/trap.h>
#include <kernel/user_state.h>

/* A ready task runs or waits for its turn; a dead one goes on existing until another task runs in its place. */
enum task_state { TASK_READY, TASK_SLEEPS, TASK_DEAD };

struct task {
    uint64_t rsp;              /* of its kernel stack while it does not run; switch_stacks()'s alone */
    uint64_t kernel_stack_top; /* tss.rsp0 while it runs */
    struct task *next;         /* in a run queue or among the sleepers */
    enum task_state state;
    unsigned id;
    uint64_t wake_time;         /* of a sleeper, in ns since power-on */
    struct address_space space; /* cr3 is 0 for a thread of the kernel: it runs in any */
    struct user_state user;
    struct trap_frame start; /* the registers of its first instruction */
    struct arguments arguments;
};

/* A task with a kernel stack and an empty address space; NULL without memory. */
struct task *task_create(void);

/* A task without a program, which runs the function in ring 0 with interrupts on, and ends when that returns. For
 * task_start(). NULL without memory. */
struct task *thread_create(void (*function)(void));

/* Gives back a task with all its memory: one that was never started, or a dead one, from another task's stack. After
 * the last one the run ends. */
void task_destroy(struct task *task);

/* Ends the current task: silently, or with a line that says its exit status. */
_Noreturn void task_end(void);
_Noreturn void task_exit(int status);

/* Ends the current task for what it did: prints the reason and where, then the status 128 + signal. */
_Noreturn void task_kill(const struct trap_frame *frame, const char *reason, int signal);

/* Lets somebody else run, if anybody waits; returns when it is this task's turn again. A task that sleeps is not ready
 * by itself, a dead one never (sched.c). */
void schedule(void);

/* Starts the boot loader's modules, and sees to the end of the run when all have ended. */
void task_start_all(void);
