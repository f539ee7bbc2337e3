/* task.h: a program that runs. One at a time, until stage 04 replaces this file.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/address_space.h>
#include <kernel/program.h>
#include <kernel/trap.h>

struct task {
    unsigned id;
    struct address_space space;
    struct arguments arguments;
    struct trap_frame start; /* the registers of its first instruction */
};

/* A task without a program; NULL without memory. */
struct task *task_create(void);

/* Gives back a task that does not run, with its memory. */
void task_destroy(struct task *task);

/* Leaves the kernel by the given frame (switch.S). */
_Noreturn void trap_return(struct trap_frame *frame);

/* Ends the current task, prints its exit status and runs the next program. */
_Noreturn void task_exit(int status);

/* Ends the current task for what it did: prints the reason and where, then the status 128 + signal. */
_Noreturn void task_kill(const struct trap_frame *frame, const char *reason, int signal);

/* Lets somebody else run. There is nobody, before stage 04. */
static inline void schedule(void) {}

/* Runs the boot loader's modules, one after the other, and then ends the run or halts. */
_Noreturn void task_run_all(void);
