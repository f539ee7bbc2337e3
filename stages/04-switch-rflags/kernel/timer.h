/* timer.h: the tick, by which nobody runs for ever.
 * SPDX-License-Identifier: MIT */
#pragma once

#define TICKS_PER_SECOND 100

/* Measures the local APIC's timer and the time-stamp counter, and starts the clock. Once, on the boot CPU. */
void timer_calibrate(void);

/* Starts this CPU's tick. */
void timer_start(void);
