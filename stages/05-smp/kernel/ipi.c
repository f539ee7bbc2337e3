/* ipi.c: interrupts from one CPU to another: wake up, and stop. Called by smp.c, balance.c and panic.c.
 * SPDX-License-Identifier: MIT */
#include <kernel/smp.h>
#include <kernel/stop.h>

#define ICR_BUSY     0x1000
#define STOP_TIMEOUT 100000000 /* ns */
#define NOBODY       UINT32_MAX

static uint32_t panicking = NOBODY; /* the number of the CPU that stops all others */

void ipi_send(uint32_t apic_id, uint32_t command) {
    uint64_t flags = read_rflags();
    cli(); /* an interrupt between the two halves could send one of its own */
    if (lapic_is_x2apic()) {
        /* This WRMSR does not wait for the stores before it, which the other CPU is to see. */
        __asm__ volatile("mfence; lfence" : : : "memory");
        wrmsr(MSR_X2APIC + LAPIC_ICR_LOW / 16, (uint64_t)apic_id << 32 | command);
    } else {
        while (lapic_read(LAPIC_ICR_LOW) & ICR_BUSY)
            pause();
        lapic_write(LAPIC_ICR_HIGH, apic_id << 24);
        lapic_write(LAPIC_ICR_LOW, command);
    }
    if (flags & RFLAGS_IF)
        sti();
}

static bool reschedule(struct trap_frame *frame) {
    (void)frame;
    lapic_eoi();
    this_cpu->need_switch = true;
    return true;
}

/* An NMI, because a CPU that has turned interrupts off must stop as well. */
static bool stop_or_count(struct trap_frame *frame) {
    (void)frame;
    this_cpu->nmis++;
    if (READ_ONCE(panicking) == NOBODY || READ_ONCE(panicking) == this_cpu->cpu)
        return true;
    WRITE_ONCE(this_cpu->stopped, true);
    for (;;)
        hlt();
}

void ipi_init(void) {
    trap_handle(VECTOR_RESCHEDULE, reschedule);
    trap_handle(VECTOR_NMI, stop_or_count);
}

unsigned stop_other_cpus(void) {
    if (!smp_first) /* before there are any; GS may not be set yet */
        return 0;
    uint32_t owner = NOBODY, me = this_cpu->cpu;
    if (!__atomic_compare_exchange_n(&panicking, &owner, me, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        while (owner != me)
            hlt(); /* another CPU panics; its NMI may have come before we did */
        return me;
    }
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next)
        if (pcr->online && pcr->cpu != me)
            ipi_send(pcr->apic_id, ICR_NMI);
    uint64_t end = clock_now() + STOP_TIMEOUT;
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next)
        while (pcr->online && pcr->cpu != me && !READ_ONCE(pcr->stopped) && clock_now() < end)
            pause();
    return me;
}
