/* cpu.c: the state of the one CPU, in global variables; current.h reaches it. Stage 02 replaces this file.
 * SPDX-License-Identifier: MIT */
#include <kernel/current.h>

static uint64_t cpu_gdt[GDT_ENTRIES];
struct tss cpu_tss;
struct task *current_task;
uint64_t syscall_count;

void cpu_init(void) {
    gdt_fill(cpu_gdt, &cpu_tss);
    gdt_load(cpu_gdt);
}
