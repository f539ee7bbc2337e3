/* clock.c: time since power-on, the tick, and the system calls that tell the time or wait for it.
 * SPDX-License-Identifier: MIT
 *
 * The time relies on what every CPU since 2008 has: a counter of constant rate, started on all CPUs together. Nobody
 * says at what rate it counts, nor the local APIC's timer, so both are measured against a timer whose rate never
 * changed since 1981: channel 2 of the interval timer. Sources: SDM 3A, "APIC Timer"; Intel 8254 data sheet. */
#include <kernel/lapic.h>
#include <kernel/sched.h>
#include <kernel/syscall.h>

#define SECOND  1000000000ul
#define FOREVER 3000000000ul /* s: a century */

#define TICKS_PER_SECOND 100

#define PIT_RATE 1193182

/* Its ports. Of PIT_CONTROL bit 0: channel 2 counts; bit 1: to the speaker; bit 5: it has reached 0. */
enum { PIT_CHANNEL_2 = 0x42, PIT_COMMAND = 0x43, PIT_CONTROL = 0x61 };

static uint64_t scale;           /* ns per count of the time-stamp counter, times 2^32 */
static uint32_t counts_per_tick; /* of the local APIC's timer */

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
    lapic_write(LAPIC_EOI, 0); /* before the switch: the next task must have its tick as well */
    sched_tick();
    return true;
}

void clock_init(void) {
    lapic_write(LAPIC_TIMER_INITIAL, UINT32_MAX);
    uint64_t tsc = rdtsc();
    pit_wait();
    uint64_t tsc_per_tick = rdtsc() - tsc;
    counts_per_tick = UINT32_MAX - lapic_read(LAPIC_TIMER_CURRENT);
    lapic_write(LAPIC_TIMER_INITIAL, 0);
    if (!counts_per_tick || !tsc_per_tick)
        panic("the local APIC's timer does not count");
    scale = (SECOND << 32) / (tsc_per_tick * TICKS_PER_SECOND);
    trap_handle(VECTOR_TIMER, timer_interrupt);
}

void clock_start_ticks(void) {
    lapic_write(LAPIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TIMER);
    lapic_write(LAPIC_TIMER_INITIAL, counts_per_tick);
}

#define NS_PER_TICK (SECOND / TICKS_PER_SECOND)

void clock_wake_at(uint64_t time) {
    uint64_t now = clock_now(), ns = time > now ? time - now : 0;
    uint64_t most = UINT32_MAX / counts_per_tick * NS_PER_TICK;
    ns = ns < most ? ns : most; /* the idle task then looks once more */
    lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER); /* once */
    lapic_write(LAPIC_TIMER_INITIAL, time == UINT64_MAX ? 0 : (uint32_t)(ns * counts_per_tick / NS_PER_TICK + 1000));
}

uint64_t clock_now(void) { return (uint64_t)((unsigned __int128)rdtsc() * scale >> 32); }

void clock_delay(uint64_t nanoseconds) {
    for (uint64_t end = clock_now() + nanoseconds; clock_now() < end;)
        pause();
}

struct timespec {
    int64_t seconds, nanoseconds;
};

/* There is no calendar: the clocks of Linux that never stop all tell the time since power-on. */
long sys_clock_gettime(struct trap_frame *frame) {
    enum { PROCESS_CPU = 2, THREAD_CPU = 3, BOOT = 7 };
    uint64_t now = clock_now();
    struct timespec time = {(int64_t)(now / SECOND), (int64_t)(now % SECOND)};
    uint32_t id = (uint32_t)frame->rdi;
    if (id > BOOT || id == PROCESS_CPU || id == THREAD_CPU)
        return -EINVAL;
    return copy_to_user(frame->rsi, &time, sizeof(time)) ? 0 : -EFAULT;
}

/* Never interrupted, so the time that is left is not asked for. */
long sys_nanosleep(struct trap_frame *frame) {
    struct timespec time;
    if (!copy_from_user(&time, frame->rdi, sizeof(time)))
        return -EFAULT;
    if (time.seconds < 0 || time.nanoseconds < 0 || time.nanoseconds >= (int64_t)SECOND)
        return -EINVAL;
    uint64_t seconds = (uint64_t)time.seconds < FOREVER ? (uint64_t)time.seconds : FOREVER;
    sched_sleep_until(clock_now() + seconds * SECOND + (uint64_t)time.nanoseconds);
    return 0;
}
