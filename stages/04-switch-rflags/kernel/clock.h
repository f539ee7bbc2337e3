/* clock.h: time since boot, by the CPU's time-stamp counter, and the tick, by which nobody runs for ever.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <stdint.h>

/* Measures the time-stamp counter and the local APIC's timer, and sets the clock to 0. Once, on the boot CPU. */
void clock_init(void);

/* Nanoseconds since then. */
uint64_t clock_now(void);

/* Waits, with interrupts as they are. */
void clock_delay(uint64_t nanoseconds);

/* Starts this CPU's tick. */
void clock_start_ticks(void);
