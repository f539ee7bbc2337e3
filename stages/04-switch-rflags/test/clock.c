/* clock.c: time passes, the tick comes, and sleepers wake in their order.
 * SPDX-License-Identifier: MIT */
#include <kernel/lapic.h>
#include <kernel/sched.h>
#include <proof/selftest.h>

#define MILLISECOND 1000000ul

static void stop_ticks(void) {
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED);
    lapic_write(LAPIC_TIMER_INITIAL, 0);
    cli();
}

static void wait_for_interrupt(void) { __asm__ volatile("sti; hlt; cli" : : : "memory"); }

TEST(time_passes) {
    uint64_t last = clock_now();
    bool forward = true;
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_now();
        forward = forward && now >= last;
        last = now;
    }
    ok(forward, "and never back");
    uint64_t start = clock_now();
    clock_delay(5 * MILLISECOND);
    ok(clock_now() - start >= 5 * MILLISECOND, "a delay is as long as was asked for, or longer");
}

TEST(ticks) {
    uint64_t before = this_cpu->ticks, start = clock_now();
    clock_start_ticks();
    while (this_cpu->ticks < before + 5)
        wait_for_interrupt();
    uint64_t elapsed = clock_now() - start;
    stop_ticks();
    ok(elapsed > 30 * MILLISECOND, "five take 50 ms or longer, within the accuracy of an emulator");
}

static unsigned woken[2], count;

static void sleep_long(void) {
    sched_sleep_until(clock_now() + 60 * MILLISECOND);
    woken[count++] = 60;
}

static uint64_t flags_behind_sleep;

static void sleep_short(void) {
    sched_sleep_until(clock_now() + 20 * MILLISECOND);
    flags_behind_sleep = read_rflags();
    woken[count++] = 20;
}

TEST(sleepers) {
    uint64_t start = clock_now();
    count = 0;
    clock_start_ticks();
    task_start(this_cpu->self, thread_create(sleep_long));
    task_start(this_cpu->self, thread_create(sleep_short));
    while (count < 2 && clock_now() - start < 5000 * MILLISECOND) {
        schedule();
        wait_for_interrupt();
    }
    uint64_t elapsed = clock_now() - start;
    schedule();
    stop_ticks();
    /* mutant kernel/sched.c: (*at)->wake_time <= time => (*at)->wake_time > time */
    ok(count == 2 && woken[0] == 20 && woken[1] == 60, "the one that wakes first is the one with the earlier time");
    ok(elapsed >= 60 * MILLISECOND, "none wakes too early");
    /* mutant kernel/sched.c: schedule(); sti(); } => schedule(); } */
    ok(flags_behind_sleep & RFLAGS_IF, "and interrupts are on behind the sleep");
}
