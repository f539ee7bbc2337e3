/* clock.h: time since boot, by the CPU's time-stamp counter.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <stdint.h>

/* Sets the clock to 0; the counter runs at the given rate per second. */
void clock_init(uint64_t tsc_rate);

/* Nanoseconds since then. */
uint64_t clock_now(void);

/* Waits, with interrupts as they are. */
void clock_delay(uint64_t nanoseconds);
