/* cpu.c: the TSS with room for a map of ports behind it.
 * SPDX-License-Identifier: MIT */
#include <kernel/current.h>

static uint64_t cpu_gdt[GDT_ENTRIES];
struct {
    struct tss tss;
    uint8_t map[32];
} cpu_tss_and_map __asm__("cpu_tss");
struct task *current_task;
uint64_t syscall_count;

void cpu_init(void) {
    gdt_fill(cpu_gdt, &cpu_tss_and_map.tss);
    gdt_load(cpu_gdt);
}
