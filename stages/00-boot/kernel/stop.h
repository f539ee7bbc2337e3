/* stop.h: what a panic does about the other CPUs. There are none yet; stage 05 replaces this file.
 * SPDX-License-Identifier: MIT */
#pragma once

/* Stops every other CPU, for ever. Returns the number of this one. */
static inline unsigned stop_other_cpus(void) { return 0; }
