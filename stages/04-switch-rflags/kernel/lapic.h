/* lapic.h: the local APIC, each CPU's own interrupt controller.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/trap.h>

/* Vectors that we choose. The higher half byte is the priority. */
#define VECTOR_TIMER    0x40
#define VECTOR_SPURIOUS 0xff

/* Registers by their offset in the memory-mapped form. Source: SDM 3A, "Local APIC Register Address Map". */
/* clang-format off */
enum {
    LAPIC_ID            = 0x20,  LAPIC_TASK_PRIORITY = 0x80,  LAPIC_EOI           = 0xb0,  LAPIC_SPURIOUS = 0xf0,
    LAPIC_ICR_LOW       = 0x300, LAPIC_ICR_HIGH      = 0x310,
    LAPIC_LVT_TIMER     = 0x320, LAPIC_LVT_LINT0     = 0x350, LAPIC_LVT_LINT1     = 0x360,
    LAPIC_TIMER_INITIAL = 0x380, LAPIC_TIMER_CURRENT = 0x390, LAPIC_TIMER_DIVIDE  = 0x3e0,
};
/* clang-format on */

enum { LVT_MASKED = 0x10000, LVT_PERIODIC = 0x20000, LVT_NMI = 0x400 };

/* Turns on this CPU's local APIC. On every CPU. */
void lapic_init(void);

/* Registers. A write to LAPIC_EOI ends the interrupt that is being served; until then none of that priority comes. */
uint32_t lapic_read(unsigned reg);
void lapic_write(unsigned reg, uint32_t value);
