/* cpu_state.h: what the kernel's C code keeps for each CPU. Part of struct pcr; grows once more in stage 05.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/kernel.h>

struct task;

/* The tasks that could run, first come, first served. */
struct run_queue {
    struct lock lock;
    struct task *first, *last; /* linked by task->next */
    unsigned length;
};

struct cpu_state {
    unsigned cpu;         /* 0 ... CPUs - 1; not the APIC id */
    struct task *current; /* the task that this CPU runs */
    uint64_t syscalls;
    uint64_t nmis;

    /* Of the scheduler (sched.c); changed by this CPU alone, but for the queue, which has a lock. */
    struct run_queue queue;
    struct task *sleepers; /* by the time they wake at, the next one first */
    struct task *idle;     /* runs when nobody else can */
    struct task *dead;     /* from switch_begin() to switch_end(): the task that is left for good */
    bool need_switch;      /* somebody else's turn, as soon as the kernel is left */
    uint64_t ticks;
    uint64_t switches;
};
