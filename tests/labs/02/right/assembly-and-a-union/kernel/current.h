/* current.h: each function is one instruction, written out.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/pcr.h>
#include <kernel/task.h>

static inline struct task *current(void) {
    struct task *task;
    __asm__ volatile("mov %0, gs:[%c1]" : "=r"(task) : "i"(offsetof(struct pcr, current)));
    return task;
}

static inline void set_current(struct task *task) {
    __asm__ volatile("mov gs:[%c1], %0" : : "r"(task), "i"(offsetof(struct pcr, current)) : "memory");
}

static inline void set_kernel_stack(uint64_t top) {
    __asm__ volatile("mov gs:[%c1], %0" : : "r"(top), "i"(PCR_TSS_RSP0) : "memory");
}

static inline unsigned cpu_number(void) {
    unsigned cpu;
    __asm__ volatile("mov %0, gs:[%c1]" : "=r"(cpu) : "i"(offsetof(struct pcr, cpu)));
    return cpu;
}

static inline void count_syscall(void) {
    __asm__ volatile("lock add qword ptr gs:[%c0], 1" : : "i"(offsetof(struct pcr, syscalls)) : "memory", "cc");
}
