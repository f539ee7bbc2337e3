/* ipi.c: interrupts from one CPU to another: wake up, and stop. Called by smp.c, balance.c and panic.c.
 * SPDX-License-Identifier: MIT */
#include <kernel/smp.h>

#define ICR_BUSY     0x1000
#define STOP_TIMEOUT 1000000000 /* ns: a second, for a CPU of a busy emulator */
#define NOBODY       UINT32_MAX

static uint32_t panicking = NOBODY; /* the number of the CPU that stops all others */

void ipi_send(uint32_t apic_id, uint32_t command) {
    while (lapic_read(LAPIC_ICR_LOW) & ICR_BUSY)
        pause();
    lapic_write(LAPIC_ICR_HIGH, apic_id << 24);
    lapic_write(LAPIC_ICR_LOW, command);
}

static bool reschedule(struct trap_frame *frame) {
    lapic_write(LAPIC_EOI, 0);
    this_cpu->need_switch = true;
    return true;
}

/* An NMI, because a CPU that has turned interrupts off must stop as well. */
static bool stop_or_count(struct trap_frame *frame) {
    this_cpu->nmis++;
    if (READ_ONCE(panicking) == NOBODY || READ_ONCE(panicking) == this_cpu->cpu)
        return true;
    __atomic_store_n(&this_cpu->self->presence, CPU_STOPPED, __ATOMIC_RELEASE);
    for (;;)
        hlt();
}

void ipi_init(void) {
    trap_handle(VECTOR_RESCHEDULE, reschedule);
    trap_handle(VECTOR_NMI, stop_or_count);
}

unsigned stop_other_cpus(void) {
    struct pcr *own = smp_first; /* NULL before there are any; not by GS, whose base may be what is wrong */
    while (own && own->apic_id != lapic_read(LAPIC_ID) >> 24)
        own = own->next;
    if (!own)
        return 0;
    uint32_t owner = NOBODY, me = own->cpu;
    if (!__atomic_compare_exchange_n(&panicking, &owner, me, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        while (owner != me)
            hlt(); /* another CPU panics; its NMI may have come before we did */
        return me;
    }
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next)
        /* One that is still on its way must not join behind the report: for it the door is closed. */
        if (!__sync_bool_compare_and_swap(&pcr->presence, CPU_AWAITED, CPU_LEFT_OUT) && pcr->presence == CPU_ONLINE &&
            pcr->cpu != me)
            ipi_send(pcr->apic_id, ICR_NMI);
    uint64_t end = clock_now() + STOP_TIMEOUT;
    for (struct pcr *pcr = smp_first; pcr; pcr = pcr->next)
        while (READ_ONCE(pcr->presence) == CPU_ONLINE && pcr->cpu != me && clock_now() < end)
            pause();
    return me;
}
