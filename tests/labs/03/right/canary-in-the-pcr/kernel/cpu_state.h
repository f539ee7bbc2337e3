/* cpu_state.h: what the kernel's C code keeps for each CPU. Part of struct pcr; grows in stages 04 and 05.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/kernel.h>

struct task;

struct cpu_state {
    uint64_t canary;      /* at gs:192, where -mstack-protector-guard-offset says */
    unsigned cpu;         /* 0 ... CPUs - 1; not the APIC id */
    struct task *current; /* the task that this CPU runs */
    uint64_t syscalls;
    uint64_t nmis;
};
