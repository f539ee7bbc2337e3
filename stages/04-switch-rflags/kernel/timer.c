/* timer.c: the tick of the local APIC. Called by main.c, and by each CPU of stage 05.
 * SPDX-License-Identifier: MIT
 *
 * Nobody says at what rate that timer counts, so it is measured against one whose rate never changed since 1981: channel 2
 * of the interval timer. Sources: SDM 3A, "APIC Timer"; Intel 8254 data sheet. */
#include <kernel/lapic.h>
#include <kernel/sched.h>

#define PIT_RATE      1193182
#define PIT_CHANNEL_2 0x42
#define PIT_COMMAND   0x43
#define PIT_CONTROL   0x61 /* bit 0: channel 2 counts; bit 1: to the speaker; bit 5: it has reached 0 */

#define DIVIDE_BY_16 3

static uint32_t counts_per_tick;

/* Waits for a 100th of a second. */
static void pit_wait(void) {
    uint16_t count = PIT_RATE / TICKS_PER_SECOND;
    outb(PIT_CONTROL, (inb(PIT_CONTROL) & 0xfc) | 1);
    outb(PIT_COMMAND, 0xb0); /* channel 2, low and high byte, mode 0: one-shot, starts with the high byte */
    outb(PIT_CHANNEL_2, (uint8_t)count);
    outb(PIT_CHANNEL_2, (uint8_t)(count >> 8));
    while (!(inb(PIT_CONTROL) & 0x20))
        for (int i = 0; i < 16; i++) /* reading a port is slow, in an emulator above all */
            pause();
}

static bool timer_interrupt(struct trap_frame *frame) {
    (void)frame;
    lapic_eoi(); /* before the switch: the next task must have its tick as well */
    sched_tick();
    return true;
}

void timer_calibrate(void) {
    lapic_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_16);
    lapic_write(LAPIC_TIMER_INITIAL, UINT32_MAX);
    uint64_t tsc = rdtsc();
    pit_wait();
    uint64_t tsc_per_tick = rdtsc() - tsc;
    counts_per_tick = UINT32_MAX - lapic_read(LAPIC_TIMER_CURRENT);
    lapic_write(LAPIC_TIMER_INITIAL, 0);
    if (!counts_per_tick || !tsc_per_tick)
        panic("the local APIC's timer does not count");
    clock_init(tsc_per_tick * TICKS_PER_SECOND);
    trap_handle(VECTOR_TIMER, timer_interrupt);
}

void timer_start(void) {
    lapic_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_16);
    lapic_write(LAPIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TIMER);
    lapic_write(LAPIC_TIMER_INITIAL, counts_per_tick);
}
