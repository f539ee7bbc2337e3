/* protect.h: what this stage sets up besides the system call's own registers.
 * SPDX-License-Identifier: MIT */
#pragma once

/* Turns on SMEP, SMAP, UMIP and alignment checks for ring 3, and lets it use SSE. On every CPU. */
void protect_init(void);

/* Prepares this CPU's IST stacks for paranoid_entry. After pcr_init(), before anything can strike (paranoid.c). */
void paranoid_set_stacks(void);

/* Sets the handlers of NMI and #DB. Once (paranoid.c). */
void paranoid_init(void);

/* Sets the handler of #PF. Once, before the first copy to or from a program (user_copy.c). */
void user_copy_init(void);
