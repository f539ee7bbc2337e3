/* lapic.c: the local APIC. Called by clock.c, smp.c and main.c.
 * SPDX-License-Identifier: MIT
 *
 * Source: SDM 3A, "Advanced Programmable Interrupt Controller (APIC)". */
#include <kernel/kernel.h>
#include <kernel/lapic.h>
#include <kernel/trap.h>

#define APIC_BASE_ENABLE 0x800
#define APIC_BASE_X2APIC 0x400
#define SPURIOUS_ENABLE  0x100

static volatile uint32_t *registers; /* NULL in x2APIC mode */

/* It is told by the vector alone, and wants no EOI. */
static bool ignore_spurious(struct trap_frame *frame) {
    (void)frame;
    return true;
}

bool lapic_is_x2apic(void) { return !registers; }

uint32_t lapic_read(unsigned reg) { return registers ? registers[reg / 4] : (uint32_t)rdmsr(MSR_X2APIC + reg / 16); }

void lapic_write(unsigned reg, uint32_t value) {
    if (registers)
        registers[reg / 4] = value;
    else
        wrmsr(MSR_X2APIC + reg / 16, value);
}

uint32_t lapic_id(void) { return registers ? lapic_read(LAPIC_ID) >> 24 : lapic_read(LAPIC_ID); }

void lapic_eoi(void) { lapic_write(LAPIC_EOI, 0); }

void lapic_init(void) {
    uint64_t base = rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;
    wrmsr(MSR_APIC_BASE, base);
    if (cpu_has(CPU_X2APIC)) {
        wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
    } else if (!registers) {
        registers = map_physical(base & PTE_ADDRESS, PAGE_SIZE, PTE_WRITE | PTE_NX | PTE_PCD | PTE_PWT);
        if (!registers)
            panic("the local APIC lies at 0x%lx, out of reach", base & PTE_ADDRESS);
    }
    trap_handle(VECTOR_SPURIOUS, ignore_spurious);
    lapic_write(LAPIC_TASK_PRIORITY, 0);
    lapic_write(LAPIC_LVT_LINT0, LVT_MASKED); /* the old PICs */
    lapic_write(LAPIC_LVT_LINT1, LVT_NMI);
    lapic_write(LAPIC_LVT_ERROR, LVT_MASKED);
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED);
    lapic_write(LAPIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
}
