/* stop.h: what a panic does about the other CPUs.
 * SPDX-License-Identifier: MIT */
#pragma once

/* Stops every other CPU, for ever. Returns the number of this one. If another CPU does the same, does not return. */
unsigned stop_other_cpus(void); /* ipi.c */
