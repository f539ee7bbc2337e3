/* lapic.c: the local APIC. Called by clock.c, smp.c and main.c.
 * SPDX-License-Identifier: MIT
 *
 * Source: SDM 3A, "Advanced Programmable Interrupt Controller (APIC)". */
#include <kernel/lapic.h>

enum { APIC_BASE_X2APIC = 0x400, SPURIOUS_ENABLE = 0x100, DIVIDE_BY_16 = 3 };

static volatile uint8_t *registers;

/* It is told by the vector alone, and wants no EOI. */
static bool ignore_spurious(struct trap_frame *frame) { return true; }

uint32_t lapic_read(unsigned reg) { return *(volatile uint32_t *)(registers + reg); }

void lapic_write(unsigned reg, uint32_t value) { *(volatile uint32_t *)(registers + reg) = value; }

/* It is on: else CPUID would hide it, and cpu_features_check() refuse the boot CPU; no other would have heard its
 * start-up IPI. Source: SDM 3A, "Enabling or Disabling the Local APIC". */
void lapic_init(void) {
    uint64_t base = rdmsr(MSR_APIC_BASE);
    if (!registers) /* on the boot CPU; the others have theirs at the same address */
        registers = map_physical(base & PTE_ADDRESS, PAGE_SIZE, PTE_WRITE | PTE_NX | PTE_PCD | PTE_PWT);
    if (!registers || base & APIC_BASE_X2APIC)
        panic("the local APIC (0x%lx) is out of reach, or in x2APIC mode, which ringstep does not know", base);
    trap_handle(VECTOR_SPURIOUS, ignore_spurious);
    lapic_write(LAPIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS); /* first: while it is off, all LVTs stay masked */
    lapic_write(LAPIC_TASK_PRIORITY, 0);      /* else what the firmware left could hold back the timer */
    lapic_write(LAPIC_LVT_LINT0, LVT_MASKED); /* the old PICs */
    lapic_write(LAPIC_LVT_LINT1, LVT_NMI);
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED);
    lapic_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_16);
}
