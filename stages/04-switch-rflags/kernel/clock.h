/* clock.h: time since boot, by the CPU's time-stamp counter, and the tick, by which nobody runs for ever.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <stdint.h>

/* Sets the clock to 0; the counter runs at the given rate per second. */
void clock_init(uint64_t tsc_rate);

/* Nanoseconds since then. */
uint64_t clock_now(void);

/* Waits, with interrupts as they are. */
void clock_delay(uint64_t nanoseconds);

#define TICKS_PER_SECOND 100

/* Measures the local APIC's timer and the time-stamp counter, and starts the clock. Once, on the boot CPU (timer.c). */
void timer_calibrate(void);

/* Starts this CPU's tick. */
void timer_start(void);
